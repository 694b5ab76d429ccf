"""Builders of planning values: say what matters, the rest is sensible."""

from offramp.measure.profile import Cost, Profile, segment_name
from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.candidates import Candidate, Candidates


def a_candidate(
    split: int = 1,
    *,
    exit: ExitRule = NO_EXIT,  # noqa: A002 - the plan's own word
    codec: str = "affine8+zstd",
    accuracy: float = 0.9,
    reach: tuple[float, ...] = (),
    offload: float = 1.0,
    payload: float = 1000.0,
) -> Candidate:
    return Candidate(
        split=split,
        exit=exit,
        codec=codec,
        accuracy=accuracy,
        accuracy_low=accuracy - 0.02,
        reach=reach,
        offload=offload,
        payload_mean=payload,
        payload_p95=payload,
    )


def some_candidates(*candidates: Candidate) -> Candidates:
    return Candidates(model_digest="d" * 64, samples=1000, groups=100, full_accuracy=0.95, candidates=tuple(candidates))


def a_profile(head: tuple[float, ...] = (0.0, 0.010, 0.030), *, branch: float = 0.001) -> Profile:
    """A host whose network of `len(head) - 1` stages takes `head[-1]` seconds, and whose codecs take 1 ms."""
    splits = range(len(head) - 1)
    codecs = [f"{split}:{codec}" for split in splits for codec in ("affine8+zstd", "jpeg:90")]
    return Profile(
        model_digest="d" * 64,
        host="a test",
        threads=1,
        slowdown=1.0,
        end=len(head) - 1,
        segments={
            segment_name(start, stop, branch=asked): exactly(head[stop] - head[start] + branch * asked)
            for stop in range(1, len(head))
            for start in range(stop)
            for asked in ((False, True) if stop < len(head) - 1 else (False,))
        },
        encode=dict.fromkeys(codecs, exactly(0.001)),
        decode=dict.fromkeys(codecs, exactly(0.001)),
    )


def exactly(seconds: float) -> Cost:
    return Cost(median=seconds, p95=seconds)
