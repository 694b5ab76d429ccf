"""Policies that compare one fused score of the branch with its threshold.

confidence  the largest calibrated probability is high enough
entropy     the calibrated probabilities are spread little enough: BranchyNet's rule (Teerapittayanon, McDanel, Kung,
            ICPR 2016), with the entropy divided by ln K so that one threshold means the same for any number of classes
margin      the winner is far enough ahead of the runner-up
own         the branch's own confidence is high enough: what EENets, ensembles and gates learn beside their classes

# N samples, S fused scores
"""

import math

from offramp.bundle.manifest import SCORES
from offramp.errors import PlanError
from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.plan import ExitRule


class AtLeast(Instance):
    """score >= threshold leaves; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._thresholds = _shares(rule)
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(outputs.scores_NS[:, self._column] >= self._thresholds.get(outputs.cut, math.inf)), state


class AtMost(Instance):
    """score <= threshold leaves, so a lower threshold is stricter; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._thresholds = _shares(rule)
        self._column = SCORES.index(rule.policy)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(outputs.scores_NS[:, self._column] <= self._thresholds.get(outputs.cut, -math.inf)), state


def _shares(rule: ExitRule) -> dict[int, float]:
    for cut, threshold in rule.thresholds:
        if threshold > 1.0:
            raise PlanError(
                f"threshold {threshold:g} of branch {cut} is out of range: {rule.policy} lies between 0 and 1"
            )
    return dict(rule.thresholds)
