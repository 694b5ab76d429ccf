"""Policies that compare one fused score of the branch with its threshold.

confidence  the largest calibrated probability is high enough
entropy     the calibrated probabilities are spread little enough: BranchyNet's rule (Teerapittayanon, McDanel, Kung,
            ICPR 2016), with the entropy divided by ln K so that one threshold means the same for any number of classes
margin      the winner is far enough ahead of the runner-up
own         the branch's own confidence is high enough, whatever the branch calls so: EENets' confidence unit, a gate
            after JEI-DNN (both leave from 0.5 on), how far the members of an ensemble agree, the largest sigmoid of a
            class-exclusion head; see docs/exits.md

# N samples, S fused scores
"""

import math

from offramp.bundle.manifest import SCORES
from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.exits.thresholds import limit_of, limits, shares
from offramp.plan import ExitRule

_ABOVE_ALL, _BELOW_ALL = limit_of(math.inf), limit_of(-math.inf)
"""Thresholds of branches that are not asked."""


class AtLeast(Instance):
    """score >= threshold leaves; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(outputs.scores_NS[:, self._column] >= self._limits.get(outputs.cut, _ABOVE_ALL)), state


class AtMost(Instance):
    """score <= threshold leaves, so a lower threshold is stricter; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(outputs.scores_NS[:, self._column] <= self._limits.get(outputs.cut, _BELOW_ALL)), state
