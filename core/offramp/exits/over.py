"""One policy over another: whom the first lets stay, the second is asked about.

Where both would let a sample leave, the first one's label counts: of a temporal policy, the scene's.

# N samples
"""

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import NO_STATE, BranchOutputs, Decision, ExitPolicy, State


class Over:
    """Both are asked at every branch, so that each sees all that is said; a state is that of one after the other."""

    def __init__(self, first: ExitPolicy, second: ExitPolicy) -> None:
        self.temporal = first.temporal or second.temporal
        self._first = first
        self._second = second

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        before_first, before_second = self._apart(state)
        one, after_first = self._first.decide(outputs, before_first)
        other, after_second = self._second.decide(outputs, before_second)
        return _either(one, other, outputs), self._joined(len(outputs.scores_NS), after_first, after_second)

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        before_first, before_second = self._apart(state)
        first, second = self._first.settle(before_first, label_N), self._second.settle(before_second, label_N)
        return self._joined(len(label_N), first, second) if first or second else NO_STATE

    def _apart(self, state: State) -> tuple[State, State]:
        if not state:
            return NO_STATE, NO_STATE
        border = 1 + state[0].shape[1]
        return state[1:border], state[border:]

    def _joined(self, count: int, first: State, second: State) -> State:
        # The width of an array without meaning says how many arrays are the first one's: rows may be taken, or none.
        return (np.empty((count, len(first)), np.uint8), *first, *second)


def _either(one: Decision, other: Decision, outputs: BranchOutputs) -> Decision:
    leaves_N = one.leaves_N | other.leaves_N
    if one.label_N is None and other.label_N is None:
        return Decision(leaves_N)
    said_N = outputs.logits_NK.argmax(axis=1)
    first_N = said_N if one.label_N is None else one.label_N
    second_N = said_N if other.label_N is None else other.label_N
    return Decision(leaves_N, np.where(one.leaves_N, first_N, second_N))
