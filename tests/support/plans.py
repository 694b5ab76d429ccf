"""Builders of planning values: say what matters, the rest is sensible."""

from dataclasses import replace
from typing import Any

from offramp.bundle.manifest import Manifest
from offramp.clock import Clock, ManualClock
from offramp.measure.profile import Cost, Profile, segment_name
from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.objective import DEFAULT_OBJECTIVE, Objective
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Grounds
from offramp.units import BitsPerSecond, Seconds
from tests.support.manifests import a_manifest


def a_candidate(
    split: int = 1,
    *,
    exit: ExitRule = NO_EXIT,  # noqa: A002 - the plan's own word
    codec: str = "affine8+zstd",
    accuracy: float = 0.9,
    reach: tuple[float, ...] = (),
    offload: float = 1.0,
    payload: float = 1000.0,
    payload_p95: float | None = None,
    loss_high: float = 0.005,
    agreement: float = 0.95,
) -> Candidate:
    return Candidate(
        split=split,
        exit=exit,
        codec=codec,
        accuracy=accuracy,
        accuracy_low=accuracy - 0.02,
        loss_high=loss_high,
        agreement=agreement,
        reach=reach,
        offload=offload,
        payload_mean=payload,
        payload_p95=payload if payload_p95 is None else payload_p95,
    )


def an_exit(cut: int, threshold: float = 0.9) -> ExitRule:
    return ExitRule(policy="confidence", thresholds=((cut, threshold),))


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


def a_profile_of(manifest: Manifest, *, pace: float = 1e-6) -> Profile:
    """A host that takes so many seconds for each operation of these segments, and none for codecs."""
    segments = {
        segment_name(spec.start, spec.stop, branch=spec.branch, via=spec.via): exactly(pace * manifest.macs(spec))
        for spec in manifest.segments
    }
    return replace(a_profile(), end=manifest.end, segments=segments, encode={}, decode={})


def exactly(seconds: float) -> Cost:
    return Cost(median=seconds, p95=seconds)


def a_situation(mbit: float = 10.0, *, rtt: float = 0.02, rate: float = 1.0, **known: Any) -> Situation:
    """A link that is known exactly, unless `known` says otherwise."""
    return Situation(bandwidth=BitsPerSecond(mbit * 1e6), round_trip=Seconds(rtt), rate=rate, **known)


def some_grounds(
    *candidates: Candidate,
    device: Profile | None = None,
    edge: Profile | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    clock: Clock | None = None,
    **more: Any,
) -> Grounds:
    """Of a network of two stages that is ten times as fast at the edge."""
    return Grounds(
        manifest=a_manifest(2, branches=(1,)),
        candidates=some_candidates(*candidates),
        device=device or a_profile(),
        edge=edge or a_profile((0.0, 0.001, 0.003), branch=0.0001),
        objective=objective,
        clock=clock or ManualClock(),
        **more,
    )
