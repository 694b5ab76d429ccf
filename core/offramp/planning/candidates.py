"""Candidates: plans worth considering, with what they are worth, free of any host's timing.

From observations on the calibration split, each (split × exit rule × codec) gets its accuracy with a lower confidence
bound, the share of samples that reach each branch and the uplink, and its bytes. With the profile of *this* host and
the link of *this* moment, `offramp.planning.cost` turns them into latency.

# M samples
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.measure.observe import Observations
from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.records import NO_REVISION, Revision

FILE = "candidates.json"
CONFIDENCE = 0.95
"""Of the lower accuracy bound."""
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
"""The monotone path along which all branches of a rule move together."""
MAX_BRANCHES = 4
"""Every subset of the branches is tried; four branches have 15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan without its revision, and what it was worth on the calibration split."""

    split: int
    exit: ExitRule
    codec: str
    accuracy: float
    accuracy_low: float
    """Lower confidence bound; dependent samples (one run, one patient) count as one."""
    reach: tuple[float, ...]
    """Share of samples still on the road at each asked branch; the first is 1."""
    offload: float
    """Share of samples that are sent (or that end at cut n, when nothing is sent)."""
    payload_mean: float
    """Bytes of one sent payload, on average over the samples that are sent."""
    payload_p95: float

    def plan(self, revision: Revision = NO_REVISION) -> Plan:
        return Plan(split=self.split, exit=self.exit, codec=self.codec, revision=revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The attachment `candidates.json` of a bundle."""

    model_digest: str
    samples: int
    groups: int
    """Independent units among the samples; the bounds count these."""
    full_accuracy: float
    """Of the whole network on the same samples."""
    candidates: tuple[Candidate, ...]


def enumerate_candidates(
    observations: Observations, truth_M: NDArray[np.int64], group_M: NDArray[np.int64], manifest: Manifest
) -> Candidates:
    """Every plan worth considering; dominated ones (same exits, more bytes, no better) are left out."""
    units = len(np.unique(group_M))
    endings = [
        _Ending(split, codec, said.labels_M, said.payload_bytes_M) for (split, codec), said in observations.edge.items()
    ]
    nothing_M = np.zeros(len(truth_M), dtype=np.int64)
    endings.append(_Ending(manifest.end, "none", observations.final_labels_M, nothing_M))
    found: list[Candidate] = []
    for split in sorted({ending.split for ending in endings}):
        rivals = [ending for ending in endings if ending.split == split]
        for rule in _rules(manifest, split):
            taken_at_M = _walk(rule, observations)
            early_M = _early_labels(rule, taken_at_M, observations)
            judged = []
            for ending in rivals:
                right_M = np.where(taken_at_M < 0, ending.labels_M, early_M) == truth_M
                judged.append(_judge(rule, ending, taken_at_M, right_M, units))
            found.extend(_front(judged))
    return Candidates(
        model_digest=manifest.model_digest,
        samples=len(truth_M),
        groups=units,
        full_accuracy=float((observations.final_labels_M == truth_M).mean()),
        candidates=tuple(found),
    )


def write_candidates(candidates: Candidates, path: Path) -> None:
    path.write_text(json.dumps(to_json(candidates), separators=(",", ":")) + "\n", encoding="utf-8")


def read_candidates(bundle: Bundle) -> Candidates:
    """
    Raises:
        BundleError: The bundle ships none, or those of another model.
    """
    path = bundle.file(FILE)
    if not path.is_file():
        raise BundleError(f"{bundle.path} ships no {FILE}; build it with calibration data to be able to plan with it")
    candidates = from_json(Candidates, json.loads(path.read_text(encoding="utf-8")))
    if candidates.model_digest != bundle.manifest.model_digest:
        raise BundleError(f"{path} belongs to another model; build the bundle again")
    return candidates


def wilson_low(share: float, trials: int) -> float:
    """Wilson's one-sided lower bound for a share seen in `trials` independent units (Wilson, JASA 1927)."""
    z = float(NormalDist().inv_cdf(CONFIDENCE))
    centre = share + z * z / (2 * trials)
    spread: float = z * ((share * (1 - share) + z * z / (4 * trials)) / trials) ** 0.5
    return max(0.0, (centre - spread) / (1 + z * z / trials))


def _rules(manifest: Manifest, split: int) -> Iterator[ExitRule]:
    yield NO_EXIT
    cuts = [branch.cut for branch in manifest.branches if branch.cut <= split][:MAX_BRANCHES]
    for size in range(1, len(cuts) + 1):
        for asked in combinations(cuts, size):
            for threshold in THRESHOLDS:
                yield ExitRule(policy="confidence", thresholds=tuple((cut, threshold) for cut in asked))


@dataclass(frozen=True, slots=True)
class _Ending:
    """What answers those who did not leave: one (split, codec), or the end of the network."""

    split: int
    codec: str
    labels_M: NDArray[np.int64]
    payload_bytes_M: NDArray[np.int64]


def _walk(rule: ExitRule, observations: Observations) -> NDArray[np.int64]:
    """[M] the cut of the branch where each sample leaves, -1 where it stays: decided by the deployed policy."""
    taken_at_M = np.full(len(observations.final_labels_M), -1, dtype=np.int64)
    policy, state = open_policy(rule), NO_STATE
    for cut, _ in rule.thresholds:
        here = np.flatnonzero(taken_at_M < 0)
        # Instance policies read the fused scores alone, so no logits are kept for them.
        no_logits = np.empty((len(here), 0), dtype=np.float32)
        leave, state = policy.decide(BranchOutputs(cut, no_logits, observations.branch_scores[cut][here]), state)
        taken_at_M[here[leave]] = cut
    return taken_at_M


def _early_labels(rule: ExitRule, taken_at_M: NDArray[np.int64], observations: Observations) -> NDArray[np.int64]:
    """[M] what the branch where a sample leaves says; -1 where it stays."""
    labels_M = np.full(len(taken_at_M), -1, dtype=np.int64)
    for cut, _ in rule.thresholds:
        left = taken_at_M == cut
        labels_M[left] = observations.branch_labels[cut][left]
    return labels_M


def _judge(
    rule: ExitRule, ending: _Ending, taken_at_M: NDArray[np.int64], right_M: NDArray[np.bool_], units: int
) -> Candidate:
    sent_M = taken_at_M < 0
    accuracy = float(right_M.mean())
    sizes = ending.payload_bytes_M[sent_M]
    return Candidate(
        split=ending.split,
        exit=rule,
        codec=ending.codec,
        accuracy=accuracy,
        accuracy_low=wilson_low(accuracy, units),
        reach=tuple(float(1 - np.isin(taken_at_M, _before(rule, cut)).mean()) for cut, _ in rule.thresholds),
        offload=float(sent_M.mean()),
        payload_mean=float(sizes.mean()) if sizes.size else 0.0,
        payload_p95=float(np.quantile(sizes, 0.95)) if sizes.size else 0.0,
    )


def _before(rule: ExitRule, cut: int) -> list[int]:
    return [other for other, _ in rule.thresholds if other < cut]


def _front(rivals: Sequence[Candidate]) -> list[Candidate]:
    """Same split, same exits, several codecs: more bytes must buy accuracy."""
    front: list[Candidate] = []
    for rival in sorted(rivals, key=lambda item: (item.payload_mean, -item.accuracy)):
        if not front or rival.accuracy > front[-1].accuracy:
            front.append(rival)
    return front
