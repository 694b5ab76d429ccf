"""Leave when the largest calibrated probability is high enough (BranchyNet asks the entropy; this asks the winner)."""

import math

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.exits.policy import BranchOutputs, State
from offramp.plan import ExitRule

_COLUMN = SCORES.index("confidence")


class Confidence:
    """score >= threshold; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._thresholds = dict(rule.thresholds)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[NDArray[np.bool_], State]:
        return outputs.scores_NS[:, _COLUMN] >= self._thresholds.get(outputs.cut, math.inf), state
