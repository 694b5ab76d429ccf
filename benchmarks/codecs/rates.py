"""The rate of each sample: many bytes for whom the local branch doubts, few for whom it is sure of, or none at all.

           unsure │ in between │ sure            a rule is two confidences and what happens in each of the three parts;
      ────────────┼────────────┼────────►        a single rate, two rates, a rate and an exit are rules with empty parts
        rich rate │ cheap rate │ leaves

Branches before that one may have let samples leave already: whoever has left is surest, and takes no bytes.

# N samples, G confidences, C codecs, P rules
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.plan import NO_EXIT, ExitRule, Plan, Unsure
from offramp.tape.reader import Tape

Floats = NDArray[np.float64]
Thresholds = tuple[tuple[int, float], ...]

STEPS = 64
"""Shares of the samples at which a rule may divide them."""
STRICTEST = 1.0
"""Confidence at which hardly anybody leaves: the strictest that a plan can ask."""
DIGITS = 4
"""Of a confidence in a plan: nobody reads more."""
GONE = 2.0
"""How sure those count as who left before: more than anybody."""
BINS = 10
"""Of confidences, each with a rate of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Whom a plan sends at which rate, and whom not at all."""

    branch: int
    below: float
    """Confidence; who is less sure is sent at the rich rate."""
    leave: float
    """Who is so sure or surer leaves at the branch."""
    cheap: str
    rich: str
    before: Thresholds = ()
    """Of branches that are asked first: confidences at which one leaves there."""

    def plan(self, split: int) -> Plan:
        unsure = None if self.cheap == self.rich else Unsure(below=self.below, codec=self.rich)
        last = ((self.branch, self.leave),) if unsure or self.leave < STRICTEST else ()
        asked = (*self.before, *last)
        exits = ExitRule(policy="confidence", thresholds=asked) if asked else NO_EXIT
        return Plan(split=split, codec=self.cheap, exit=exits, unsure=unsure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A rule, and what it was worth on the samples that it was found on."""

    rule: Rule
    accuracy: float
    nbytes: float
    """Of an average sample, those that leave included."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What one branch and all rates say about some samples."""

    branch: int
    sure_N: NDArray[np.float32]
    branch_right_N: NDArray[np.bool_]
    codecs: tuple[str, ...]
    right_CN: NDArray[np.bool_]
    bytes_CN: NDArray[np.int64]
    before: Thresholds = ()
    reach: tuple[float, ...] = (1.0,)
    """Share of the samples that each asked branch hears: those of `before`, then this one."""

    @classmethod
    def of(
        cls,
        tape: Tape,
        split: int,
        codecs: Sequence[str],
        branch: int,
        subset: str,
        before: Thresholds = (),
        some: NDArray[np.bool_] | None = None,
    ) -> "Heard":
        """Of a subset's samples, or `some` of them."""
        rows = np.arange(len(tape.truth_N))[tape.rows(subset)]
        rows = rows if some is None else rows[some]
        truth_N = tape.truth_N[rows]
        there_N, early_right_N, reach = np.ones(len(truth_N), bool), np.zeros(len(truth_N), bool), []
        for cut, threshold in before:
            reach.append(float(there_N.mean()))
            sure_N, right_N = _voice(tape, cut, rows, truth_N)
            leaves_N = there_N & (sure_N >= threshold)
            early_right_N |= leaves_N & right_N
            there_N &= ~leaves_N
        sure_N, right_N = _voice(tape, branch, rows, truth_N)
        right_CN = np.array([tape.answer(split, name).label_N[rows] == truth_N for name in codecs])
        bytes_CN = np.array([tape.payload_bytes(split, name)[rows] for name in codecs], dtype=np.int64)
        return cls(
            branch=branch,
            sure_N=np.where(there_N, sure_N, np.float32(GONE)),
            branch_right_N=np.where(there_N, right_N, early_right_N),
            codecs=tuple(codecs),
            right_CN=np.where(there_N, right_CN, early_right_N),
            bytes_CN=np.where(there_N, bytes_CN, 0),
            before=before,
            reach=(*reach, float(there_N.mean())),
        )

    def under(self, rule: Rule) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """[N] who is right, and the bytes of each."""
        cheap, rich = self.codecs.index(rule.cheap), self.codecs.index(rule.rich)
        unsure_N, leaves_N = self.sure_N < rule.below, self.sure_N >= rule.leave
        right_N = np.where(unsure_N, self.right_CN[rich], self.right_CN[cheap])
        bytes_N = np.where(unsure_N, self.bytes_CN[rich], self.bytes_CN[cheap])
        return np.where(leaves_N, self.branch_right_N, right_N), np.where(leaves_N, 0, bytes_N)


def rules_of(heard: Heard, *, pairs: bool, exits: bool) -> list[Tried]:
    """The rules that no other one is as accurate as with as few bytes, the cheapest first.

    All of them are tried, by running sums over the samples in order of how sure the branch is of them.
    """
    order_N = np.argsort(heard.sure_N, kind="stable")
    sure_N, count = heard.sure_N[order_N], len(order_N)
    place_G = np.unique(np.linspace(0, count, STEPS + 1).astype(np.int64))
    right_GC, bytes_GC = (_running(values[:, order_N], place_G) for values in (heard.right_CN, heard.bytes_CN))
    left_G = _running(heard.branch_right_N[None, order_N], place_G)[:, 0]
    low = np.arange(len(place_G)) if pairs else np.array([0])
    high = np.arange(len(place_G)) if exits else np.array([len(place_G) - 1])

    def parted(sum_GC: Floats) -> Floats:
        """[low, high, rich, cheap] of those sent: unsure up to the first place, cheap up to the second."""
        cheap = sum_GC[high][None] - sum_GC[low][:, None]
        return np.asarray(sum_GC[low][:, None, :, None] + cheap[:, :, None, :])

    accuracy = (parted(right_GC) + (left_G[-1] - left_G[high])[None, :, None, None]) / count
    in_order = (low[:, None] <= high[None])[:, :, None, None]
    nbytes = np.where(in_order, parted(bytes_GC) / count, np.inf)
    bound_G = [*(min(STRICTEST, round(sure, DIGITS)) for sure in sure_N[place_G[:-1]].tolist()), STRICTEST]
    found = []
    for at in _front(nbytes.ravel(), accuracy.ravel()):
        first, second, rich, cheap = (int(part) for part in np.unravel_index(at, nbytes.shape))
        start, stop, name = int(low[first]), int(high[second]), heard.codecs[cheap]
        rule = Rule(
            branch=heard.branch,
            below=bound_G[start] if start else 0.0,
            leave=bound_G[stop] if stop else 0.0,
            cheap=name,
            rich=heard.codecs[rich] if start else name,
            before=heard.before,
        )
        found.append(Tried(rule=rule, accuracy=float(accuracy.ravel()[at]), nbytes=float(nbytes.ravel()[at])))
    return found


def cheapest_at(tried: Sequence[Tried], accuracy: float) -> Tried | None:
    """The fewest bytes at this accuracy or better, on the samples that the rules were found on."""
    return min((one for one in tried if one.accuracy >= accuracy), key=lambda one: one.nbytes, default=None)


def mixture(nbytes_P: Floats, accuracy_P: Floats, accuracy: float) -> float:
    """Bytes at this accuracy of the best mixture of two of these, each sample's drawn by lot, whoever it is.

    What a choice by confidence has to beat, or it knows nothing. Beyond the most accurate one, that one's bytes.
    """
    hull: list[tuple[float, float]] = []
    for size, right in sorted(zip(nbytes_P.tolist(), accuracy_P.tolist(), strict=True)):
        if hull and right <= hull[-1][1]:
            continue
        while len(hull) > 1 and _under(hull[-2], hull[-1], (size, right)):
            hull.pop()
        hull.append((size, right))
    return float(np.interp(accuracy, [right for _, right in hull], [size for size, _ in hull]))


def rate_of_each(
    tuning: Heard, test: Heard, accuracy: float, *, exits: bool
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """[N] of test samples: right, and bytes, where each tenth of confidences has the rate that suits it best.

    No plan says that: it shows what more rates than two would bring. A tenth takes the rate of most right answers less
    a price for its bytes; the price is the highest at which tuning samples are as accurate as asked.
    """
    bounds = np.quantile(tuning.sure_N, np.linspace(0, 1, BINS + 1)[1:-1])
    bin_M, bin_N = (np.searchsorted(bounds, heard.sure_N, side="right") for heard in (tuning, test))
    right_CM, bytes_CM = _with_exit(tuning) if exits else (tuning.right_CN, tuning.bytes_CN)
    right_CN, bytes_CN = _with_exit(test) if exits else (test.right_CN, test.bytes_CN)
    right_CB, bytes_CB = (
        np.array([[values_M[bin_M == place].mean() for place in range(BINS)] for values_M in values_CM])
        for values_CM in (right_CM, bytes_CM)
    )
    chosen_B = right_CB.argmax(0)
    for price in np.geomspace(1e-1, 1e-6, 200):
        priced_B = (right_CB - price * bytes_CB).argmax(0)
        if right_CM[priced_B[bin_M], np.arange(len(bin_M))].mean() >= accuracy:
            chosen_B = priced_B
            break
    there = np.arange(len(bin_N))
    return right_CN[chosen_B[bin_N], there], bytes_CN[chosen_B[bin_N], there]


def _voice(
    tape: Tape, cut: int, rows: NDArray[np.int64], truth_N: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[N] how sure a branch is, and whether it is right."""
    voice = tape.branch(cut)
    assert voice.scores_NS is not None  # only tails carry none
    return voice.scores_NS[rows][:, 0], voice.label_N[rows] == truth_N


def _with_exit(heard: Heard) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The branch as one more rate, of no bytes."""
    nothing_N = np.zeros_like(heard.bytes_CN[:1])
    return np.vstack([heard.branch_right_N, heard.right_CN]), np.vstack([nothing_N, heard.bytes_CN])


def _running(values_CN: NDArray[Any], place_G: NDArray[np.int64]) -> Floats:
    """[G, C] sums over the samples before each place."""
    sums_CN = np.cumsum(values_CN, axis=1, dtype=np.float64)
    return np.concatenate([np.zeros((len(values_CN), 1)), sums_CN], axis=1)[:, place_G].T


def _front(nbytes_P: Floats, accuracy_P: Floats) -> Iterator[int]:
    order_P = np.lexsort((-accuracy_P, nbytes_P))
    best_P = np.maximum.accumulate(accuracy_P[order_P])
    rises_P = np.concatenate([[True], best_P[1:] > best_P[:-1]])
    for place in order_P[rises_P].tolist():
        if np.isfinite(nbytes_P[place]):
            yield place


def _under(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the middle one lies on the line from the first to the last, or under it."""
    run, rise = last[0] - first[0], last[1] - first[1]
    return (middle[1] - first[1]) * run <= rise * (middle[0] - first[0])
