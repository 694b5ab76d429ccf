"""What choosing the rate of each sample saves, at equal accuracy, and what it does to latency.

    calibration samples ─► the rules that send least at an accuracy     for each way to choose, and each single rate
    test samples        ─► their accuracy and bytes ─► against single rates as accurate, or mixtures of them
                        ─► those of codes that choose for themselves ─► against the same

# N test samples, C codecs, R replicates
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.rates import STRICTEST, Heard, Rule, Tried, cheapest_at, mixture, rate_of_each, rules_of
from benchmarks.codecs.sides import LINKS, Bench
from offramp.codecs.adaptive import is_adaptive
from offramp.plan import Plan, via_of
from offramp_evaluation.metrics.intervals import MEAN, number_units, replicate

BOARD = 20.0
"""How many times slower than this machine, where latencies are compared."""
REPLICATES = 500
TAIL = 0.025
"""Of an interval, on either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to choose the rate of each sample."""

    name: str
    title: str
    pairs: bool
    exits: bool


WAYS = (
    Way(name="two", title="two rates", pairs=True, exits=False),
    Way(name="exit", title="a rate or an exit", pairs=False, exits=True),
    Way(name="both", title="two rates or an exit", pairs=True, exits=True),
)
MANY, MANY_OR_EXIT = "many", "many-exit"
"""As many rates as there are, without and with an exit: what no plan can say."""


def study(bench: Bench) -> dict[str, Any] | None:
    """Where the first bottleneck is, for each single rate worth having, of all bottlenecks there, and for each codec
    that chooses the rate by the code; None without one, or without a branch up to it.

    A rate that answers no better than a branch which sends nothing is not worth having.
    """
    manifest, tape = bench.manifest, bench.tape
    spec = next(iter(manifest.bottlenecks), None)
    branches = [branch.cut for branch in manifest.branches if spec is not None and branch.cut <= spec.cut]
    if spec is None or not branches:
        return None
    every = [entry.codec for entry in tape.header.codecs if entry.split == spec.cut and via_of(entry.codec)]
    fixed = [codec for codec in every if not is_adaptive(codec)]
    tuning, test = (
        {cut: Heard.of(tape, spec.cut, fixed, cut, subset) for cut in branches} for subset in ("calibration", "test")
    )
    singles = _rules(tuning, pairs=False, exits=False)
    tried = {way.name: _rules(tuning, pairs=way.pairs, exits=way.exits) for way in WAYS}
    judge = _Judge(bench, spec.cut, test, [one.rule for one in singles])
    last, alone = max(branches), max(float(heard.branch_right_N.mean()) for heard in tuning.values())
    points = []
    for single in [one for one in singles if one.accuracy > alone]:
        ways: dict[str, Any] = {}
        for name, rules in tried.items():
            chosen = cheapest_at(rules, single.accuracy)
            assert chosen is not None  # a single rate is a rule of every way
            ways[name] = judge.of_rule(chosen.rule)
        for name, exits in ((MANY, False), (MANY_OR_EXIT, True)):
            ways[name] = judge.saved(*rate_of_each(tuning[last], test[last], single.accuracy, exits=exits))
        points.append(judge.alone(single.rule) | {"ways": ways})
    own = []
    for codec in filter(is_adaptive, every):
        told, answered = (Heard.of(tape, spec.cut, [codec], last, subset) for subset in ("calibration", "test"))
        if told.right_CN.mean() > alone:
            rule = Rule(branch=last, below=0.0, leave=STRICTEST, cheap=codec, rich=codec)
            own.append({"codec": codec} | judge.of_rule(rule, answered))
    if not points and not own:
        return None
    return {"split": spec.cut, "board": BOARD, "links": list(LINKS), "points": points, "own": own}


def _rules(heard: dict[int, Heard], *, pairs: bool, exits: bool) -> list[Tried]:
    """Of all branches. A single rate asks none, so there one is enough."""
    some = list(heard.values()) if pairs or exits else list(heard.values())[-1:]
    return [one for each in some for one in rules_of(each, pairs=pairs, exits=exits)]


class _Judge:
    """Holds choices against single rates, on test samples."""

    def __init__(self, bench: Bench, split: int, test: dict[int, Heard], singles: Sequence[Rule]) -> None:
        self._bench, self._split, self._test = bench, split, test
        self._singles = {rule.cheap: rule for rule in singles}
        under = [test[rule.branch].under(rule) for rule in singles]
        self._right_CN = np.array([right_N for right_N, _ in under], dtype=np.float64)
        self._bytes_CN = np.array([bytes_N for _, bytes_N in under], dtype=np.float64)
        self._unit_N, self._units = number_units(bench.units)

    def alone(self, rule: Rule) -> dict[str, Any]:
        """A single rate."""
        right_N, bytes_N = self._test[rule.branch].under(rule)
        found = {"codec": rule.cheap, "accuracy": float(right_N.mean()), "bytes": float(bytes_N.mean())}
        return found | {"latency": self._latency(rule.plan(self._split))}

    def of_rule(self, rule: Rule, answered: Heard | None = None) -> dict[str, Any]:
        """`answered`: by its codec, where that is no single rate."""
        right_N, bytes_N = (answered or self._test[rule.branch]).under(rule)
        plan, rival = rule.plan(self._split), self._rival(float(right_N.mean()))
        return self.saved(right_N, bytes_N) | {
            "plan": str(plan),
            "latency": self._latency(plan),
            "rival": rival.cheap,
            "rival_latency": self._latency(rival.plan(self._split)),
        }

    def saved(self, right_N: NDArray[np.bool_], bytes_N: NDArray[np.int64]) -> dict[str, Any]:
        """Share of the bytes of a mixture of single rates that is as accurate, with its interval."""
        accuracy, nbytes = float(right_N.mean()), float(bytes_N.mean())
        saved = 1 - nbytes / mixture(self._bytes_CN.mean(1), self._right_CN.mean(1), accuracy)
        right_R, bytes_R, right_CR, bytes_CR = (
            self._replicated(values) for values in (right_N, bytes_N, self._right_CN, self._bytes_CN)
        )
        seen = [
            1 - size / mixture(bytes_C, right_C, right)
            for size, right, bytes_C, right_C in zip(bytes_R, right_R, bytes_CR.T, right_CR.T, strict=True)
        ]
        low, high = np.quantile(seen, (TAIL, 1 - TAIL))
        return {"accuracy": accuracy, "bytes": nbytes, "saved": saved, "low": float(low), "high": float(high)}

    def _replicated(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """[…, R] means of values […, N], where whole units are drawn with replacement: of all values the same."""

        def means(values_N: NDArray[Any]) -> NDArray[np.float64]:
            return replicate(values_N.astype(np.float64), self._unit_N, self._units, MEAN, REPLICATES, seed=0)

        return np.apply_along_axis(means, -1, values)

    def _rival(self, accuracy: float) -> Rule:
        """The cheapest single rate that is as accurate; the most accurate where none is."""
        enough = [rule for rule in self._singles.values() if self._accuracy(rule) >= accuracy]
        if enough:
            return min(enough, key=lambda rule: float(self._test[rule.branch].under(rule)[1].mean()))
        return max(self._singles.values(), key=self._accuracy)

    def _accuracy(self, rule: Rule) -> float:
        return float(self._test[rule.branch].under(rule)[0].mean())

    def _latency(self, plan: Plan) -> list[float]:
        """Seconds of an average sample over each link."""
        return [float(self._bench.follow(plan, link, BOARD).latency_N.mean()) for link in LINKS]
