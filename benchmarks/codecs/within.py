"""The fewest bytes of an average sample within a point of the whole network, where each sample leaves or has its rate.

    calibration samples, one half   ─► rules of every split with a branch, those that nothing is better than
                         the other  ─► the cheapest of them that surely loses no more
    test samples                    ─► what it loses, its bytes, and what the device executed

With learned codecs and without: what these add to exits, which spare most bytes. Half of the operations on the device
either bounds where it splits, or what it executes for an average sample: who leaves early pays for those that go on
past the half.

# N samples
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.rates import DIGITS, STEPS, STRICTEST, Heard, Rule, Thresholds, rules_of
from benchmarks.codecs.sides import SIDES, WITH, WITHOUT, Bench, Side
from benchmarks.exits.tasks import SURE as ERRORS
from offramp.bundle.manifest import Manifest
from offramp.data.held_out import to_fit
from offramp.exits.charge import Charge
from offramp.exits.evidence import evidence_of
from offramp.exits.tuning import Bench as Exits
from offramp.exits.tuning import tune
from offramp.plan import via_of
from offramp_evaluation.metrics.intervals import Interval, bootstrap

SURE = 0.9
"""Confidence of both ends of an interval together: of its upper end alone, 95 %."""
EARLY = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Parts of what may be lost that the branches before the last one asked are tuned to."""


def within(bench: Bench, drop: float, *, half: float, on_average: bool = False) -> dict[str, dict[str, Any]]:
    """By side, the rule of fewest bytes that loses at most `drop`, at splits before `half` of the operations; or
    `on_average`, where the device executes no more than that for an average sample, wherever it splits.

    A side without such a rule is left out.
    """
    found = {}
    for side in (side for side in SIDES if side.name in (WITH, WITHOUT)):
        chosen = _cheapest(bench, side, drop, half, on_average)
        if chosen:
            found[side.name] = _on_test(bench, side, *chosen)
    return found


def executed(manifest: Manifest, split: int, rule: Rule, heard: Heard) -> float:
    """Share of the network's operations that the device executes for an average one of these samples."""
    sent_N, unsure_N = heard.sure_N < rule.leave, heard.sure_N < rule.below
    spent, cut = 0.0, 0
    for asked, share in zip([*(cut for cut, _ in rule.before), rule.branch], heard.reach, strict=True):
        branch = manifest.branch_at(asked)
        spent += share * (manifest.macs_between(cut, asked) + (branch.macs if branch else 0))
        cut = asked
    for codec, share in ((rule.cheap, (sent_N & ~unsure_N).mean()), (rule.rich, (sent_N & unsure_N).mean())):
        via = via_of(codec)
        encoder = manifest.bottleneck(via).encoder_macs if via else 0
        spent += share * (manifest.macs_between(cut, split) + encoder)
    return float(spent / manifest.macs_between(0, manifest.end))


def _cheapest(bench: Bench, side: Side, drop: float, half: float, on_average: bool) -> tuple[int, Rule] | None:
    """The split, and the rule: found on one half of the calibration samples, and sure on the other.

    Many are tried, and the best of many looks better than it is. So the first half only says in which order they are
    asked on the second: what surely loses least comes first, then what loses a little more for fewer bytes, up to the
    first that may lose too much (fixed-sequence testing, as in Angelopoulos and others, "Learn then Test", arXiv
    2110.01052).
    """
    unit_N, whole_N = bench.tape.group_N[bench.tape.rows("calibration")], _whole(bench, "calibration")
    fit_N = to_fit(unit_N)
    sure_N = ~fit_N if not fit_N.all() else fit_N
    path = list(_tried(bench, side, drop, half, on_average, fit_N))
    found = None
    for step in _safest_first(path):
        rule = step.rule
        heard = _heard(bench, side, step.split, rule.branch, "calibration", rule.before, sure_N)
        assert heard is not None
        if _lost(whole_N[sure_N], heard.under(rule)[0], unit_N[sure_N]).high > drop:
            break
        found = step.split, rule
    return found


def _tried(
    bench: Bench, side: Side, drop: float, half: float, on_average: bool, fit_N: NDArray[np.bool_]
) -> Iterator["_Step"]:
    """Every rule that may be taken, and what it was worth to those who find rules."""
    whole_N, early = _whole(bench, "calibration")[fit_N], _early(bench, drop, fit_N)
    for split, branch, before in _places(bench.manifest, 1.0 if on_average else half, early):
        heard = _heard(bench, side, split, branch, "calibration", before, fit_N)
        if heard is None:
            continue
        for rule in _rules(heard):
            if not on_average or executed(bench.manifest, split, rule, heard) <= half:
                right_N, bytes_N = heard.under(rule)
                loses = _at_most(whole_N, right_N)
                yield _Step(split=split, rule=rule, nbytes=float(bytes_N.mean()), loses=loses)


def _places(
    manifest: Manifest, most: float, early: dict[int, list[Thresholds]]
) -> Iterator[tuple[int, int, Thresholds]]:
    """Splits up to `most` of the operations, the last branch asked before each, and thresholds of those before that."""
    for split in _splits(manifest, most):
        for branch in (one.cut for one in manifest.branches if one.cut <= split):
            for before in early[branch]:
                yield split, branch, before


def _rules(heard: Heard) -> list[Rule]:
    """Those that no other one is as accurate as with as few bytes; and safe ones, which are not: every single rate,
    with an exit that ever fewer leave at.
    """
    there_N = heard.sure_N[heard.sure_N <= STRICTEST]
    bounds = np.unique(np.quantile(there_N, np.linspace(0, 1, STEPS)).round(DIGITS)) if len(there_N) else np.empty(0)
    single = [
        Rule(branch=heard.branch, below=0.0, leave=leave, cheap=codec, rich=codec, before=heard.before)
        for codec in heard.codecs
        for leave in (*bounds.tolist(), STRICTEST)
    ]
    return [*(one.rule for one in rules_of(heard, pairs=True, exits=True)), *single]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    split: int
    rule: Rule
    nbytes: float
    loses: float
    """At most, with 95 % confidence, by those who found it."""


def _safest_first(path: list[_Step]) -> list[_Step]:
    """Those that nothing of fewer bytes is as safe as."""
    found: list[_Step] = []
    for step in sorted(path, key=lambda one: (one.nbytes, one.loses)):
        if not found or step.loses < found[-1].loses:
            found.append(step)
    return found[::-1]


def _at_most(whole_N: NDArray[np.bool_], right_N: NDArray[np.bool_]) -> float:
    """What is lost, and as many standard errors as 95 % of all draws stay below."""
    lost_N = whole_N.astype(np.float64) - right_N
    return float(lost_N.mean() + ERRORS * lost_N.std() / max(1, len(lost_N)) ** 0.5)


def _early(bench: Bench, drop: float, fit_N: NDArray[np.bool_]) -> dict[int, list[Thresholds]]:
    """By branch, thresholds of those before it: none of them asked, or tuned to lose a part of what may be lost, on the
    samples that find rules.
    """
    cuts = sorted(branch.cut for branch in bench.manifest.branches)
    found: dict[int, list[Thresholds]] = {cut: [()] for cut in cuts}
    if len(cuts) > 1:
        exits = Exits(recorded=evidence_of(bench.tape, "calibration").take(fit_N), charge=Charge.of(bench.manifest))
        for place, cut in enumerate(cuts[1:], start=1):
            tuned = (tune("confidence", cuts[:place], exits, drop=part * drop).rule for part in EARLY)
            found[cut] = list(dict.fromkeys([(), *(rule.thresholds for rule in tuned)]))
    return found


def _on_test(bench: Bench, side: Side, split: int, rule: Rule) -> dict[str, Any]:
    manifest = bench.manifest
    heard = _heard(bench, side, split, rule.branch, "test", rule.before)
    assert heard is not None  # calibration samples were recorded with the same codecs
    right_N, bytes_N = heard.under(rule)
    whole_N = _whole(bench, "test")
    lost = _lost(whole_N, right_N, bench.units)
    return {
        "plan": str(rule.plan(split)),
        "split": split,
        "bytes": float(bytes_N.mean()),
        "sent": float((heard.sure_N < rule.leave).mean()),
        "lost": float(whole_N.mean() - right_N.mean()),
        "low": lost.low,
        "high": lost.high,
        "operations": executed(manifest, split, rule, heard),
    }


def _splits(manifest: Manifest, half: float) -> list[int]:
    """That have a branch before them, or at them."""
    first = min((branch.cut for branch in manifest.branches), default=manifest.end)
    whole = manifest.macs_between(0, manifest.end)
    return [split for split in range(first, manifest.end) if manifest.macs_between(0, split) <= half * whole]


def _heard(
    bench: Bench,
    side: Side,
    split: int,
    branch: int,
    subset: str,
    before: Thresholds = (),
    some: NDArray[np.bool_] | None = None,
) -> Heard | None:
    entries = bench.tape.header.codecs
    codecs = [one.codec for one in entries if one.split == split and side.allows(split, one.codec)]
    return Heard.of(bench.tape, split, codecs, branch, subset, before, some) if codecs else None


def _whole(bench: Bench, subset: str) -> NDArray[np.bool_]:
    rows = bench.tape.rows(subset)
    right_N: NDArray[np.bool_] = bench.tape.final().label_N[rows] == bench.tape.truth_N[rows]
    return right_N


def _lost(whole_N: NDArray[np.bool_], right_N: NDArray[np.bool_], unit_N: NDArray[np.int64]) -> Interval:
    """Of the accuracy, paired by samples."""
    return bootstrap(whole_N.astype(np.int64) - right_N, unit_N, confidence=SURE)
