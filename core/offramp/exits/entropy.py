"""Leave when the calibrated probabilities are spread little enough.

The rule of BranchyNet (Teerapittayanon, McDanel, Kung, ICPR 2016), with the entropy divided by ln K so that one
threshold means the same for any number of classes.
"""

import math

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.exits.policy import BranchOutputs, State
from offramp.plan import ExitRule

_COLUMN = SCORES.index("entropy")


class Entropy:
    """score <= threshold, so a lower threshold is stricter; a nan stays."""

    def __init__(self, rule: ExitRule) -> None:
        self._thresholds = dict(rule.thresholds)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[NDArray[np.bool_], State]:
        return outputs.scores_NS[:, _COLUMN] <= self._thresholds.get(outputs.cut, -math.inf), state
