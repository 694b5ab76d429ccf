"""Patience: a sample leaves where so many branches in a row have said the same.

    branch          1     2     3     4
    says           cat   dog   dog   dog
    in a row        1     1     2     3 ─► with a threshold of 3, it leaves here as a dog

PABEE (Zhou et al., NeurIPS 2020, arXiv 2006.04152), which counts agreements between neighbours: its patience is our
threshold less one, and a threshold of 1 lets everybody leave at the first branch that is asked. Where it is silent: a
branch that another policy of the same rule asks counts too, and one whose logits hold a nan agrees with nobody.

# N samples
"""

import numpy as np

from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.exits.rows import highest
from offramp.exits.thresholds import counts
from offramp.plan import ExitRule

_ONE = np.array(1)
_NEVER = np.array(np.iinfo(np.int64).max)


class Patience(Instance):
    """A state is what each sample's last branch said, and how many in a row have said it."""

    def __init__(self, rule: ExitRule) -> None:
        self._patience = {cut: np.array(count) for cut, count in counts(rule).items()}

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        label_N = outputs.logits_NK.argmax(axis=1)
        readable_N = ~np.isnan(highest(outputs.logits_NK))
        if state:
            before_N, row_N = state
            row_N = (row_N * (label_N == before_N) + _ONE) * readable_N
        else:
            row_N = readable_N.astype(np.int64)
        return Decision(row_N >= self._patience.get(outputs.cut, _NEVER)), (label_N, row_N)
