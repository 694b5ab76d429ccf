"""Patience: a sample leaves where so many branches in a row have said the same.

    branch          1     2     3     4
    says           cat   dog   dog   dog
    in a row        1     1     2     3 ─► with a threshold of 3, it leaves here as a dog

PABEE (Zhou et al., NeurIPS 2020, arXiv 2006.04152), which counts agreements between neighbours: its patience is our
threshold less one, and a threshold of 1 lets everybody leave at the first branch that is asked. Where it is silent: a
branch that another policy of the same rule asks counts too, and one whose logits hold a nan agrees with nobody.

# N samples
"""

import math

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import BranchOutputs, Decision, Instance, State, alone
from offramp.exits.thresholds import counts
from offramp.plan import ExitRule

_NEVER = np.iinfo(np.int64).max


class Patience(Instance):
    """A state is what each sample's last branch said, and how many in a row have said it."""

    def __init__(self, rule: ExitRule) -> None:
        self._patience = counts(rule)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        logits_NK, patience = outputs.logits_NK, self._patience.get(outputs.cut, _NEVER)
        label_N = logits_NK.argmax(axis=1)
        if len(label_N) == 1:
            row = _in_a_row(logits_NK, label_N, state)
            return alone(row >= patience), (label_N, np.array([row]))
        readable_N = ~np.isnan(np.maximum.reduce(logits_NK, axis=1))
        if state:
            before_N, row_N = state
            row_N = (row_N * (label_N == before_N) + 1) * readable_N
        else:
            row_N = readable_N.astype(np.int64)
        return Decision(row_N >= patience), (label_N, row_N)


def _in_a_row(logits_1K: NDArray[np.float32], label_1: NDArray[np.int64], state: State) -> int:
    """Of one sample, in plain numbers: several times as fast."""
    label = label_1.item()
    if math.isnan(logits_1K[0, label]):  # a nan is the largest
        return 0
    return state[1].item() + 1 if state and state[0].item() == label else 1
