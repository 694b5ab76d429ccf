"""Grounds for strategies: a small network between a slow device and a fast edge."""

from dataclasses import replace
from typing import Any

from offramp.bundle.manifest import Manifest
from offramp.clock import ManualClock
from offramp.codecs.catalog import codec_names
from offramp.measure.profile import Profile
from offramp.plan import ExitRule
from offramp.planning.candidates import Candidate
from offramp.planning.strategies.strategy import Grounds
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_profile, exactly, some_candidates

HEAD = (0.0, 0.010, 0.025, 0.032, 0.050)
"""Seconds on the device up to each cut of a network of four stages."""
EDGE_FASTER = 10.0


def grounds_of_four_stages(
    *candidates: Candidate, manifest: Manifest | None = None, head: tuple[float, ...] = HEAD, **more: Any
) -> Grounds:
    """Over these candidates, or over a few of each kind."""
    described = manifest or a_manifest(len(head) - 1)
    device = _with_all_codecs(a_profile(head), described)
    edge = _with_all_codecs(a_profile(tuple(seconds / EDGE_FASTER for seconds in head)), described)
    usual = {"manifest": described, "device": device, "edge": edge, "clock": ManualClock()}
    return Grounds(candidates=some_candidates(*(candidates or a_few_candidates(described.end))), **(usual | more))


def a_few_candidates(end: int) -> tuple[Candidate, ...]:
    """Of every split one without exits; at the last but one, some with them."""
    plain = [a_candidate(split, payload=4_000 / split) for split in range(1, end)]
    ends = [a_candidate(0, codec="jpeg:90", payload=900), a_candidate(end, codec="none")]
    rules = [ExitRule(policy="confidence", thresholds=((1, sure), (2, sure))) for sure in (0.5, 0.85, 0.95)]
    leaving = [
        a_candidate(end - 1, exit=rule, reach=(1.0, 0.3 + stay), offload=stay, payload=800, loss_high=loss)
        for rule, stay, loss in zip(rules, (0.05, 0.2, 0.5), (0.1, 0.02, 0.008), strict=True)
    ]
    return (*plain, *ends, *leaving)


def _with_all_codecs(profile: Profile, manifest: Manifest) -> Profile:
    """As `offramp profile` measures it: every codec that opens at each cut, half a millisecond each way."""
    names = [f"{split}:{name}" for split in range(manifest.end) for name in codec_names(manifest, split)]
    costs = dict.fromkeys(names, exactly(0.0005))
    return replace(profile, encode=costs, decode=costs)
