"""What plans are worth on calibration samples: who leaves under a rule, and what answers those who stay.

    Walk (a rule) × Ending (a split and codec, or two rates of a bottleneck) ─► Judge ─► Candidate

# M samples
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from offramp.codecs.adaptive import is_adaptive
from offramp.exits.catalog import open_policy
from offramp.exits.policy import BranchOutputs
from offramp.exits.walk import STAYED, walk
from offramp.measure.observe import Observations
from offramp.plan import NO_EXIT, ExitRule, Unsure, via_of
from offramp.planning.bounds import PairedLoss, wilson_low
from offramp.planning.candidates import Candidate

DIGITS = 5
"""Of shares in the file: a third of its size is saved, and a share of 100,000 samples is still exact."""
DOUBTS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Confidences below which a sample may get more bytes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What answers those who did not leave: one (split, codec), or the end of the network."""

    split: int
    codec: str
    right_M: NDArray[np.bool_]
    payload_bytes_M: NDArray[np.int64]
    unsure: Unsure | None = None
    doubted_M: NDArray[np.bool_] | None = None
    """Whom the last branch is not sure of; None: nobody is asked."""
    head: str = ""
    """In which form the device runs what comes before."""

    @property
    def mean_bytes(self) -> float:
        return float(self.payload_bytes_M.mean())

    def unless(self, doubted_M: NDArray[np.bool_], other: "Ending", below: float) -> "Ending":
        """Written as another one where the last branch is not sure."""
        return Ending(
            self.split,
            self.codec,
            np.where(doubted_M, other.right_M, self.right_M),
            np.where(doubted_M, other.payload_bytes_M, self.payload_bytes_M),
            Unsure(below=below, codec=other.codec),
            doubted_M,
        )


@dataclass(frozen=True, slots=True)
class Walk:
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


def everybody(count: int) -> Walk:
    """Without exits."""
    return Walk(NO_EXIT, np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_), 1.0, ())


def walk_under(rule: ExitRule, observations: Observations, truth_M: NDArray[np.int64]) -> Walk:
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
    return Walk(rule, ~left_M, left_M & (walked.label_N == truth_M), agreement, tuple(reach))


class Judge:
    """What plans are worth on these samples."""

    def __init__(self, whole_right_M: NDArray[np.bool_], group_M: NDArray[np.int64]) -> None:
        self.groups = len(np.unique(group_M))
        self._loss = PairedLoss(whole_right_M, group_M)

    def judge(self, walk: Walk, ending: Ending) -> Candidate:
        right_M = np.where(walk.stays_M, ending.right_M, walk.right_M)
        accuracy = float(right_M.mean())
        sizes = ending.payload_bytes_M[walk.stays_M]
        # It is what the loss is counted against; another head's whole network is not.
        whole = ending.codec == "none" and not walk.rule.thresholds and not ending.head
        doubts_M = np.zeros(0) if ending.doubted_M is None else ending.doubted_M[walk.stays_M]
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
            head=ending.head,
            unsure=ending.unsure,
            doubted=round(float(doubts_M.mean()), DIGITS) if doubts_M.size else 0.0,
        )


def doubting(
    kept: Sequence[Candidate], walks: Sequence[Walk], rivals: Sequence[Ending], observations: Observations
) -> Iterator[tuple[Walk, Ending]]:
    """Two rates of one bottleneck, the higher one for whom the last branch is not sure of; what adapts needs no branch.

    Under rules that are worth keeping with one of them, and under those that hardly ask for more than the doubt: one
    branch, at its strictest. Tails and encoders are the same for both rates, so that codecs and bytes alone differ.
    """
    codes = [ending for ending in rivals if via_of(ending.codec) and not is_adaptive(ending.codec)]
    if not codes:
        return
    wanted = {item.exit for item in kept if item.via}
    alone: dict[int, ExitRule] = {}
    for one in walks:  # strict ones come first
        if len(one.rule.asked) == 1 and one.last <= codes[0].split:
            wanted.add(alone.setdefault(one.last, one.rule))
    for one in walks:
        if one.rule not in wanted:
            continue
        confidence_M = observations.branch_scores[one.last][:, 0]
        for below in DOUBTS:
            doubted_M = ~(confidence_M >= below)
            if not 0 < np.count_nonzero(doubted_M & one.stays_M) < np.count_nonzero(one.stays_M):
                continue
            for few, many in permutations(codes, 2):
                if via_of(few.codec) == via_of(many.codec) and few.mean_bytes < many.mean_bytes:
                    yield one, few.unless(doubted_M, many, below)
