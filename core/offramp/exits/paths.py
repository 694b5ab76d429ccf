"""The path of a policy: rules from strict to lenient, for whoever looks for the most lenient one that is still right.

    confidence   0.995@2/0.995@4 ─► 0.99@2/0.99@4 ─► … ─► 0.4@2/0.4@4
                 nearly all stay                           many leave, and early

All branches of a rule move together, so a path is one step long for each threshold, not a grid over every branch's own.
Along the path of a policy that asks for a score, those who leave leave no later at the next step. The others' paths
only tend to: a scene that is left sooner may end later.
"""

from collections.abc import Sequence
from itertools import pairwise

from offramp.errors import PlanError
from offramp.exits.catalog import POLICIES
from offramp.plan import ExitRule


def path(policy: str, cuts: Sequence[int], *, over: ExitRule | None = None, finer: int = 1) -> tuple[ExitRule, ...]:
    """Rules that ask the branches at these cuts, from strict to lenient; each stands over the rule `over`, if any.

    `finer` divides each step into so many, where thresholds are no counts.

    Raises:
        UnknownNameError: No such policy; the message has the near miss.
        PlanError: No cuts, or cuts out of order.
    """
    if not cuts:
        raise PlanError(f"a path of {policy} asks branches, and none is given; give the cuts at which some hang")
    return tuple(
        ExitRule(policy=policy, thresholds=tuple((cut, threshold) for cut in cuts), over=over)
        for threshold in thresholds(policy, len(cuts), finer=finer)
    )


def thresholds(policy: str, branches: int, *, finer: int = 1) -> tuple[float, ...]:
    """From strict to lenient, for a rule that asks so many branches."""
    kind = POLICIES[policy]
    if kind.counts:
        return tuple(count for count in kind.thresholds if count <= branches)
    between = (
        before + (after - before) * part / finer for before, after in pairwise(kind.thresholds) for part in range(finer)
    )
    return (*between, kind.thresholds[-1])
