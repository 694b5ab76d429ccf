"""Exit rules worth trying: which branches are asked, and how sure they have to be.

All branches of a rule move together along one path per policy, from lenient to strict: a stricter step lets nobody
leave earlier. So a rule is a set of branches and one step, not a grid over every branch's own threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from offramp.exits.paths import thresholds
from offramp.plan import ExitRule

PATHS: Mapping[str, tuple[float, ...]] = {
    policy: thresholds(policy, 1)[::-1] for policy in ("confidence", "entropy", "margin")
}
"""By policy, the steps from lenient to strict. Policies that read fused scores alone are here: what a tape holds."""

ABOVE = 1_000
"""The step of a rule that lets nobody leave: above every path's last."""

EVERY_SET = 4
"""Up to so many branches, every set of them is tried: 15 sets. Nine branches would have 511."""


def rules_for(cuts: Sequence[int]) -> Iterator[ExitRule]:
    """Rules for branches at these cuts; the one that asks nobody is not among them.

    Strict ones come first: of rules that the samples at hand cannot tell apart, the safe one is kept.
    """
    for asked in branch_sets(cuts):
        for policy, path in PATHS.items():
            for threshold in reversed(path):
                yield ExitRule(policy=policy, thresholds=tuple((cut, threshold) for cut in asked))


def step_of(rule: ExitRule) -> int:
    """How far up its policy's path a rule stands: as strict as that step, at its most lenient branch.

    A rule that lets nobody leave stands above every step; one that is more lenient than the first step, or whose
    policy has no path, stands below it, at -1. Of a rule over another one the more lenient counts: either lets leave.
    """
    return min(_own_step(part) for part in rule.parts)


def branch_sets(cuts: Sequence[int]) -> list[tuple[int, ...]]:
    """Sets of branches that a rule may ask: all of them where there are few, else pairs and evenly spaced ones.

    Of many branches, neighbours say nearly the same: each one that is asked costs its time and buys ever less.
    """
    if len(cuts) <= EVERY_SET:
        return [asked for size in range(1, len(cuts) + 1) for asked in combinations(cuts, size)]
    sets = {asked for size in (1, 2) for asked in combinations(cuts, size)}
    for step in range(1, len(cuts) // 2 + 1):
        # Every `step`-th one, ending at each of the last few: the deepest branch that is asked matters most.
        for last in range(len(cuts) - 1, 1, -1):
            sets.add(tuple(cuts[last::-step][::-1]))
    return sorted(sets, key=lambda asked: (len(asked), asked))


def _own_step(rule: ExitRule) -> int:
    if not rule.thresholds:
        return ABOVE
    path = PATHS.get(rule.policy, ())
    sign = -1.0 if len(path) > 1 and path[0] > path[-1] else 1.0  # entropy: the smaller, the stricter
    return min(sum(sign * threshold >= sign * step for step in path) - 1 for _, threshold in rule.thresholds)
