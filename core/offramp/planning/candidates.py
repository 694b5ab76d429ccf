"""Candidates: plans worth considering, with what they are worth, free of any host's timing.

    Observations ─► exit rules × (split, codec) ─► accuracy, shares, bytes ─► those that no other one covers

From observations on the calibration split, each (split × exit rule × codec) gets its accuracy with a lower confidence
bound, the share of samples that reach each branch and the uplink, and its bytes. With the profile of *this* host and
the link of *this* moment, `offramp.planning.cost` turns them into latency.

# M samples, C candidates of one split, D costs
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.jsonform import UNLESS_DEFAULT, from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.exits.catalog import open_policy
from offramp.exits.policy import BranchOutputs
from offramp.exits.walk import STAYED, walk
from offramp.measure.observe import Observations
from offramp.plan import NO_EXIT, ExitRule, Plan, via_of
from offramp.planning.bounds import PairedLoss, wilson_low
from offramp.planning.front import uncovered
from offramp.planning.rules import rules_for
from offramp.records import NO_REVISION, Revision

FILE = "candidates.json"
DIGITS = 5
"""Of shares in the file: a third of its size is saved, and a share of 100,000 samples is still exact."""
SLACK = 0.02
"""Candidates that differ by less, in shares of operations, samples or bytes, are one: no profile tells them apart."""
ACCURACY_SLACK = 0.002
"""The same for accuracy, beside the loss: who reads one of them is to find the best of it, nearly."""
BRANCH_SLACK = 0.1
"""The same for the number of branches asked: one costs a few hundredths of a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan without its revision, and what it was worth on the calibration split."""

    split: int
    exit: ExitRule
    codec: str
    accuracy: float
    accuracy_low: float
    """Lower confidence bound; dependent samples (one run, one patient) count as one."""
    loss_high: float
    """Upper confidence bound of the accuracy lost against the whole network, paired sample by sample (`PairedLoss`)."""
    agreement: float
    """Of those who leave at a branch, the share that is labelled as by the whole network; 1 when nobody leaves."""
    reach: tuple[float, ...]
    """Share of samples still on the road at each asked branch; the first is 1."""
    offload: float
    """Share of samples that are sent (or that end at cut n, when nothing is sent)."""
    payload_mean: float
    """Bytes of one sent payload, on average over the samples that are sent."""
    payload_p95: float
    head: str = field(default="", metadata=UNLESS_DEFAULT)
    """In which form the device runs its stages and branches; empty: the bundle's own."""

    @property
    def via(self) -> str:
        """The bottleneck that its codec names; empty where the feature itself crosses."""
        return via_of(self.codec)

    def plan(self, revision: Revision = NO_REVISION) -> Plan:
        return Plan(split=self.split, exit=self.exit, codec=self.codec, head=self.head, revision=revision)


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

    def of_head(self, head: str) -> "Candidates":
        """Those of one head alone: what a tape of it can tell."""
        return replace(self, candidates=tuple(one for one in self.candidates if one.head == head))


def enumerate_candidates(
    observations: Observations,
    truth_M: NDArray[np.int64],
    group_M: NDArray[np.int64],
    manifest: Manifest,
    heads: Mapping[str, Observations] = MappingProxyType({}),
) -> Candidates:
    """Every plan worth considering; those that another one covers in all respects are left out.

    Plans without exits stay, of each way to send the input the best: tables compare with them. `heads` are observations
    of the same samples with other heads, by name: their plans are held against the bundle's own whole network, and
    covered by none but their own, for no profile says yet which head is the faster.
    """
    right_M = observations.final_labels_M == truth_M
    judge = _Judge(right_M, group_M)
    found = _enumerate(observations, truth_M, judge, manifest)
    for head, seen in heads.items():
        found += [replace(one, head=head) for one in _enumerate(seen, truth_M, judge, manifest)]
    return Candidates(
        model_digest=manifest.model_digest,
        samples=len(truth_M),
        groups=judge.groups,
        full_accuracy=float(right_M.mean()),
        candidates=tuple(found),
    )


def _enumerate(
    observations: Observations, truth_M: NDArray[np.int64], judge: "_Judge", manifest: Manifest
) -> list[Candidate]:
    endings = [
        _Ending(split, codec, said.labels_M == truth_M, said.payload_bytes_M)
        for (split, codec), said in observations.edge.items()
    ]
    nothing_M = np.zeros(len(truth_M), dtype=np.int64)
    right_M = observations.final_labels_M == truth_M
    endings.append(_Ending(manifest.end, "none", right_M, nothing_M))
    cuts = [branch.cut for branch in manifest.branches]
    walks = [_walk(rule, observations, truth_M) for rule in rules_for(cuts)]
    found: list[Candidate] = []
    for split in sorted({ending.split for ending in endings}):
        rivals = [ending for ending in endings if ending.split == split]
        plain = [judge.judge(_everybody(len(truth_M)), ending) for ending in rivals]
        found.extend(_baselines(plain))
        judged = [judge.judge(walk, ending) for walk in walks if walk.last <= split for ending in rivals]
        found.extend(_worth_keeping(judged, plain, manifest))
    return found


def write_candidates(candidates: Candidates, path: Path) -> None:
    path.write_text(json.dumps(to_json(candidates), separators=(",", ":")) + "\n", encoding="utf-8")


def read_candidates(bundle: Bundle) -> Candidates:
    """
    Raises:
        BundleError: The bundle ships none, malformed ones, or those of another model.
    """
    path = bundle.file(FILE)
    if not path.is_file():
        raise BundleError(f"{bundle.path} ships no {FILE}; build it with calibration data to be able to plan with it")
    try:
        candidates = from_json(Candidates, json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}); build the bundle again") from error
    if candidates.model_digest != bundle.manifest.model_digest:
        raise BundleError(f"{path} belongs to another model; build the bundle again")
    return candidates


@dataclass(frozen=True, slots=True)
class _Ending:
    """What answers those who did not leave: one (split, codec), or the end of the network."""

    split: int
    codec: str
    right_M: NDArray[np.bool_]
    payload_bytes_M: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Walk:
    """Who leaves where under one rule."""

    rule: ExitRule
    stays_M: NDArray[np.bool_]
    right_M: NDArray[np.bool_]
    """Left, and with the right answer."""
    agreement: float
    reach: tuple[float, ...]

    @property
    def last(self) -> int:
        return self.rule.asked[-1]


def _everybody(count: int) -> _Walk:
    return _Walk(NO_EXIT, np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_), 1.0, ())


def _walk(rule: ExitRule, observations: Observations, truth_M: NDArray[np.int64]) -> _Walk:
    """Decided by the deployed policy."""

    def hear(cut: int, rows: NDArray[np.intp]) -> BranchOutputs:
        # Instance policies read the fused scores alone; the label is kept as logits that are 1 there and 0 elsewhere.
        said = np.zeros((len(rows), classes), dtype=np.float32)
        said[np.arange(len(rows)), observations.branch_labels[cut][rows]] = 1
        return BranchOutputs(cut, said, observations.branch_scores[cut][rows])

    classes = int(max(labels.max() for labels in observations.branch_labels.values())) + 1
    final_M = observations.final_labels_M
    walked = walk(open_policy(rule), rule.asked, hear, final_M)
    left_M = walked.left_at_N != STAYED
    reach = [round(float(np.mean(~left_M | (walked.left_at_N >= cut))), DIGITS) for cut in rule.asked]
    agreement = float(np.mean(walked.label_N[left_M] == final_M[left_M])) if left_M.any() else 1.0
    return _Walk(rule, ~left_M, left_M & (walked.label_N == truth_M), agreement, tuple(reach))


class _Judge:
    """What plans are worth on these samples."""

    def __init__(self, whole_right_M: NDArray[np.bool_], group_M: NDArray[np.int64]) -> None:
        self.groups = len(np.unique(group_M))
        self._loss = PairedLoss(whole_right_M, group_M)

    def judge(self, walk: _Walk, ending: _Ending) -> Candidate:
        right_M = np.where(walk.stays_M, ending.right_M, walk.right_M)
        accuracy = float(right_M.mean())
        sizes = ending.payload_bytes_M[walk.stays_M]
        whole = ending.codec == "none" and not walk.rule.thresholds  # it is what the loss is counted against
        return Candidate(
            split=ending.split,
            exit=walk.rule,
            codec=ending.codec,
            accuracy=round(accuracy, DIGITS),
            accuracy_low=round(wilson_low(accuracy, self.groups), DIGITS),
            loss_high=0.0 if whole else round(self._loss.high(right_M), DIGITS),
            agreement=round(walk.agreement, DIGITS),
            reach=walk.reach,
            offload=round(float(walk.stays_M.mean()), DIGITS),
            payload_mean=round(float(sizes.mean()), 1) if sizes.size else 0.0,
            payload_p95=round(float(np.quantile(sizes, 0.95)), 1) if sizes.size else 0.0,
        )


def input_format(codec: str) -> str:
    """The family of an input codec, such as jpeg of jpeg:90: each is a baseline of its own."""
    return codec.partition("+")[0].partition(":")[0]


def _baselines(plain: Sequence[Candidate]) -> Iterator[Candidate]:
    """Plans without exits at one split: more bytes must buy accuracy; at the input, within one format."""
    families: dict[str, list[Candidate]] = {}
    for one in plain:
        families.setdefault(input_format(one.codec) if one.split == 0 else "", []).append(one)
    for rivals in families.values():
        best = -1.0
        for rival in sorted(rivals, key=lambda item: (item.payload_mean, -item.accuracy)):
            if rival.accuracy > best:
                best = rival.accuracy
                yield rival


def _worth_keeping(judged: Sequence[Candidate], plain: Sequence[Candidate], manifest: Manifest) -> list[Candidate]:
    """Plans with exits at one split that no other plan there covers."""
    if not judged:
        return []
    both = [*plain, *judged]
    kept_C = np.array([-one.loss_high for one in both])
    cost_CD = np.array([[1 - one.accuracy, *_costs(one, manifest)] for one in both])
    slack_CD = np.tile([ACCURACY_SLACK, SLACK, SLACK, BRANCH_SLACK, SLACK, 0.0], (len(both), 1))
    slack_CD[:, -1] = SLACK * cost_CD[:, -1]
    return [both[place] for place in sorted(uncovered(kept_C, cost_CD, slack_CD)) if place >= len(plain)]


def _costs(candidate: Candidate, manifest: Manifest) -> list[float]:
    """Of an average sample: operations on the device and at the edge in networks, branches asked, share sent, bytes.

    The cost formula grows with each of these and with nothing else, as far as operations tell a host's time: what is
    covered here would hardly win anywhere.
    """
    macs = [stage.macs for stage in manifest.stages]
    here, executed = 0, 0.0
    shares = [*candidate.reach, candidate.offload]
    for stop, share in zip([*candidate.exit.asked, candidate.split], shares, strict=True):
        executed += share * sum(macs[here:stop])
        here = stop
    finished = sum(macs[candidate.split :])
    if candidate.via:
        bottleneck = manifest.bottleneck(candidate.via)
        executed += candidate.offload * bottleneck.encoder_macs
        finished = bottleneck.tail_macs
    return [
        executed / max(1, sum(macs)),
        candidate.offload * finished / max(1, sum(macs)),
        sum(candidate.reach),
        candidate.offload,
        candidate.offload * candidate.payload_mean,
    ]
