"""Thresholds from recorded samples: the fewest operations whose quality falls by no more than `drop`.

    along_path        all branches move together, from strict to lenient: one number to choose
    branch_by_branch  one branch after the other, the one that saves most first
    tune              the cheaper of the two, and then whatever branches can still be moved, or left out

What is found holds on these samples, and tends to look better on them than on others: choose on samples that are
neither trained nor judged on, and certify (`offramp.exits.certify`) on others again.

# N samples
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offramp.exits.catalog import open_policy
from offramp.exits.charge import Charge
from offramp.exits.paths import path, thresholds
from offramp.exits.policy import BranchOutputs
from offramp.exits.walk import Walked, walk
from offramp.plan import NO_EXIT, ExitRule

Labels = NDArray[np.int64]
Quality = Callable[[Labels, Labels], float]
"""Of N answers, given N truths: the higher, the better."""

_STEPS_BACK = 1
"""From the last threshold that holds: the search of Early-Exit with Class Exclusion steps back two from the first that
does not."""


class Recorded(Protocol):
    """What branches and the whole network said about N samples; `offramp.exits.evidence.Evidence` is one."""

    @property
    def truth_N(self) -> Labels: ...  # noqa: N802 - a column
    @property
    def final_label_N(self) -> Labels: ...  # noqa: N802
    @property
    def stream_N(self) -> Labels: ...  # noqa: N802
    def hear(self, cut: int, rows: NDArray[np.intp], /) -> BranchOutputs: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A rule, and what it does on the samples at hand."""

    rule: ExitRule
    quality: float
    operations: float
    """Mean, of a sample."""


def accuracy(label_N: Labels, truth_N: Labels) -> float:
    return float(np.mean(label_N == truth_N))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Judges rules on the same samples, by the same measures."""

    recorded: Recorded
    charge: Charge
    quality: Quality = accuracy

    def judge(self, rule: ExitRule) -> Tuned:
        walked = self.walk(rule)
        return Tuned(
            rule=rule,
            quality=self.quality(walked.label_N, self.recorded.truth_N),
            operations=self.charge.mean(walked, rule.asked),
        )

    def walk(self, rule: ExitRule) -> Walked:
        said = self.recorded
        return walk(open_policy(rule), rule.asked, said.hear, said.final_label_N, said.stream_N)


def along_path(rules: Sequence[ExitRule], bench: Bench, *, drop: float) -> Tuned:
    """The cheapest of these that holds, up to the first that does not, as certificates do; NO_EXIT where none does.

    With rules from strict to lenient: what holds by luck, past one that does not, is not taken.
    """
    best = bench.judge(NO_EXIT)
    floor = best.quality - drop
    for rule in rules:
        tried = bench.judge(rule)
        if tried.quality < floor:
            break
        if tried.operations < best.operations:
            best = tried
    return best


def branch_by_branch(
    policy: str, cuts: Sequence[int], bench: Bench, *, drop: float, over: ExitRule | None = None, finer: int = 1
) -> Tuned:
    """Branch by branch, in descending order of the operations between it and the next, as lenient as holds.

    The search of Early-Exit with Class Exclusion (arXiv 2309.13443): from strict to lenient until the quality falls too
    far, then back, so that something is left for the branches that follow. Ours: a branch that does not pay for itself
    is not asked.
    """
    best, floor = _start(bench, drop, over)
    for cut in _by_savings(cuts, bench.charge):
        held = [best]
        for threshold in thresholds(policy, len(cuts), finer=finer):
            tried = bench.judge(_moved(best.rule, policy, {cut: threshold}, over))
            if tried.quality < floor:
                held = held[: max(1, len(held) - _STEPS_BACK)]
                break
            held.append(tried)
        best = min(held, key=lambda tuned: tuned.operations)
    return best


def tune(
    policy: str, cuts: Sequence[int], bench: Bench, *, drop: float, over: ExitRule | None = None, finer: int = 1
) -> Tuned:
    """Both ways, and then moves for as long as one saves operations and holds: of one branch to any threshold, or of
    two by a step, the one stricter and the other more lenient.
    """
    together = along_path(path(policy, cuts, over=over, finer=finer), bench, drop=drop)
    apart = branch_by_branch(policy, cuts, bench, drop=drop, over=over, finer=finer)
    best = min((together, apart), key=lambda tuned: tuned.operations)
    _, floor = _start(bench, drop, over)
    steps = (None, *thresholds(policy, len(cuts), finer=finer))

    def moved(best: Tuned, moves: Iterable[Mapping[int, float | None]]) -> Tuned:
        tried = (bench.judge(_moved(best.rule, policy, move, over)) for move in moves)
        held = (one for one in tried if one.quality >= floor and one.operations < best.operations)
        return min(held, key=lambda tuned: tuned.operations, default=best)

    before = None
    while best != before:
        before = best
        for cut in _by_savings(cuts, bench.charge):
            best = moved(best, ({cut: step} for step in steps))
        if best == before:
            at = {cut: steps.index(dict(best.rule.thresholds).get(cut)) for cut in cuts}
            pairs = ((one, other) for one, other in permutations(cuts, 2) if at[one] > 0 and at[other] < len(steps) - 1)
            best = moved(best, ({one: steps[at[one] - 1], other: steps[at[other] + 1]} for one, other in pairs))
    return best


def _start(bench: Bench, drop: float, over: ExitRule | None) -> tuple[Tuned, float]:
    """What there is without thresholds, and the quality that has to be kept."""
    nobody = bench.judge(NO_EXIT)
    floor = nobody.quality - drop
    if over is not None and (alone := bench.judge(over)).quality >= floor:
        return min((nobody, alone), key=lambda tuned: tuned.operations), floor
    return nobody, floor


def _by_savings(cuts: Sequence[int], charge: Charge) -> list[int]:
    """Those first that spare most when a sample leaves there and not at the next, or at the end."""
    following = [charge.before[cut] for cut in cuts[1:]] + [charge.whole]
    saved = {cut: after - charge.before[cut] for cut, after in zip(cuts, following, strict=True)}
    return sorted(cuts, key=lambda cut: -saved[cut])


def _moved(rule: ExitRule, policy: str, move: Mapping[int, float | None], over: ExitRule | None) -> ExitRule:
    """The rule with other thresholds at some branches; None: the policy does not ask it."""
    own = dict(rule.thresholds) if (rule.policy, rule.over) == (policy, over) else {}
    by_cut = {cut: threshold for cut, threshold in sorted({**own, **move}.items()) if threshold is not None}
    if not by_cut:
        return over or NO_EXIT
    return ExitRule(policy=policy, thresholds=tuple(by_cut.items()), over=over)
