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

import numpy as np

from offramp.bundle.manifest import SCORES
from offramp.exits.policy import BranchOutputs, Decision, Instance, State, alone
from offramp.exits.thresholds import limits, shares
from offramp.plan import ExitRule

_ABOVE_ALL, _BELOW_ALL = np.float32(math.inf), np.float32(-math.inf)
"""Thresholds of branches that are not asked."""


class AtLeast(Instance):
    """score >= threshold leaves; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        limit = self._limits.get(outputs.cut, _ABOVE_ALL)
        if len(outputs.scores_NS) == 1:
            return alone(outputs.scores_NS[0, self._column] >= limit), state
        return Decision(outputs.scores_NS[:, self._column] >= limit), state


class AtMost(Instance):
    """score <= threshold leaves, so a lower threshold is stricter; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        limit = self._limits.get(outputs.cut, _BELOW_ALL)
        if len(outputs.scores_NS) == 1:
            return alone(outputs.scores_NS[0, self._column] <= limit), state
        return Decision(outputs.scores_NS[:, self._column] <= limit), state
