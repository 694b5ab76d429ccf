"""Builders of planning values: say what matters, the rest is sensible."""

from offramp.measure.profile import Cost, Profile
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
        head=tuple(map(exactly, head)),
        branch={str(cut): exactly(branch) for cut in range(1, len(head) - 1)},
        tail=tuple(exactly(head[-1] - value) for value in head),
        encode=dict.fromkeys(codecs, exactly(0.001)),
        decode=dict.fromkeys(codecs, exactly(0.001)),
    )


def exactly(seconds: float) -> Cost:
    return Cost(median=seconds, p95=seconds)
