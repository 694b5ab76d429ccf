"""Temporal patience: leave where the scene was first understood, while that branch goes on saying the same.

    sample of a stream          1             2        3        4             5
    branches say           cat dog dog     · dog    · dog    · cat cat     · · cat
    final answer               dog                               cat
                                └ the second is the earliest that agrees; samples 2 and 3 leave there. 4 does not,
                                  runs to the end and begins a scene that is left at the second again: 5 leaves

A sketch of ours of the second rule of "Temporal Decisions" (Sponner et al., arXiv 2403.07958), whose text we could not
read: the paper says that agreement counts across time, at one depth, where patience counts it across depth, within one
sample. A scene's first sample runs to the end. The earliest branch that said what the final answer says is the scene's;
the samples that follow leave there while it says the scene's label, with at least the confidence that the threshold
asks for (the fused `confidence`; 0: the label alone). One for which it says anything else runs to the end and begins a
new scene.

A scene whose end agrees with no branch lets nobody leave. A sample that nobody answered leaves the scene as it was, and
so does one that another policy of the same rule lets leave before the scene's branch is asked, if it answers the same.

# N samples (each of another stream), B branches of the rule
"""

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.exits.policy import EVERYBODY, NOBODY, UNKNOWN, BranchOutputs, Decision, State, alone, read_only
from offramp.exits.thresholds import limits, shares
from offramp.plan import ExitRule

_UNASKED = -2
"""What a branch said that was not reached."""
_NONE = -1
"""The branch of a scene that none has understood."""
_CONFIDENCE = SCORES.index("confidence")
_BETWEEN = 2
"""Arrays of a state between two samples."""


class TemporalPatience:
    """Between samples, a state is (scene_N, branch_N): the scene's label, and which of the B branches stands for it.

    From a sample's first branch on: (scene_N, branch_N, said_NB, left_N), what each branch said (UNKNOWN: it was not
    sure enough), and whether the sample left here for that.
    """

    temporal = True

    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))
        self._unasked_1B = read_only(np.full((1, len(rule.thresholds)), _UNASKED))
        self._place = {cut: place for place, (cut, _) in enumerate(rule.thresholds)}

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        count = len(outputs.logits_NK)
        scene_N, branch_N, said_NB, left_N = self._begun(state, count)
        place = self._place.get(outputs.cut)
        if place is None:
            return Decision(np.zeros(count, np.bool_)), (scene_N, branch_N, said_NB, left_N)
        said_NB = said_NB.copy()
        if count == 1:
            sure = outputs.scores_NS[0, _CONFIDENCE] >= self._limits[outputs.cut]
            label = outputs.logits_NK.argmax() if sure else UNKNOWN
            said_NB[0, place] = label
            left = label == scene_N[0] and place == branch_N[0]
            return alone(left), (scene_N, branch_N, said_NB, EVERYBODY if left else NOBODY)
        sure_N = outputs.scores_NS[:, _CONFIDENCE] >= self._limits[outputs.cut]
        label_N = np.where(sure_N, outputs.logits_NK.argmax(axis=1), UNKNOWN)
        said_NB[:, place] = label_N
        left_N = (branch_N == place) & (label_N == scene_N)
        return Decision(left_N), (scene_N, branch_N, said_NB, left_N)

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        if len(state) <= _BETWEEN:
            return state  # no branch was asked
        scene_N, branch_N, said_NB, left_N = state
        begins_N = ~left_N & (label_N != UNKNOWN)
        if not begins_N.any():
            return scene_N, branch_N
        asked_N = said_NB[np.arange(len(branch_N)), branch_N] != _UNASKED
        begins_N &= asked_N | (branch_N == _NONE) | (label_N != scene_N)
        agrees_NB = said_NB == label_N[:, None]
        earliest_N = np.where(agrees_NB.any(axis=1), agrees_NB.argmax(axis=1), _NONE)
        return np.where(begins_N, label_N, scene_N), np.where(begins_N, earliest_N, branch_N)

    def _begun(self, state: State, count: int) -> State:
        """All four arrays, of samples that have met no branch yet too."""
        if len(state) > _BETWEEN:
            return state
        between = state or (np.full(count, UNKNOWN), np.full(count, _NONE))
        if count == 1:
            return *between, self._unasked_1B, NOBODY
        return *between, self._unasked_1B.repeat(count, axis=0), np.zeros(count, np.bool_)
