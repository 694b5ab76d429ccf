"""Difference detection: while a stream looks as it did when its scene began, the scene's label is the answer.

    sample of the stream      1       2     3     4        5      6
    at its first branch      far    near  near  near      far   near     from what the scene's first sample said there
                              │       └─────┴─────┴─ leave  │      └─ leaves with the new scene's label
                              └ runs on; begins a scene     └ runs on; begins another

"Temporal Decisions" (Sponner et al., arXiv 2403.07958). The distance is Euclid's, between the probabilities of the
first branch that is asked, divided by its largest value, the square root of 2: thresholds lie in [0, 1], and a higher
one is more lenient. Samples are compared with the first of their scene, not with the one before, so slow drift adds up
and is noticed. A new scene's label is what most of the branches that ran and the final answer say of its first sample.

Where the paper is silent, ours: probabilities are softmax of the raw logits; where as many say one thing as another,
the final answer counts; thresholds of later branches only say that they are asked, and so may vote
(`difference:0.1@2` asks one, and the final answer decides); a sample that nobody answered, or whose first branch says
nan, leaves the scene as it was.

# N samples (each of another stream), K classes
"""

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import UNKNOWN, BranchOutputs, Decision, State
from offramp.exits.raw import lowered
from offramp.exits.thresholds import shares
from offramp.plan import ExitRule

_HALF = np.full(1, 0.5, np.float32)
_BETWEEN = 2
"""Arrays of a state between two samples."""


class Difference:
    """Between samples, a state is (reference_NK, scene_N): probabilities at a scene's beginning, and its label.

    From a sample's first branch on: (reference_NK, scene_N, heard_NK, votes_NK, left_N), what this one said at the
    branch that is compared, what branches voted, and whether it left for looking alike. What is not known is nan.
    """

    temporal = True

    def __init__(self, rule: ExitRule) -> None:
        thresholds = shares(rule)
        self._first = min(thresholds)
        self._limit = np.array([thresholds[self._first] ** 2], np.float32)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        logits_NK = outputs.logits_NK
        reference_NK, scene_N, heard_NK, votes_NK, _ = _begun(state, logits_NK)
        votes_NK = votes_NK + (logits_NK.argmax(axis=1)[:, None] == np.arange(logits_NK.shape[1]))
        if outputs.cut != self._first:
            left_N = np.zeros(len(logits_NK), np.bool_)
            return Decision(left_N), (reference_NK, scene_N, heard_NK, votes_NK, left_N)
        heard_NK = np.exp(lowered(logits_NK))
        heard_NK /= np.add.reduce(heard_NK, axis=1, keepdims=True)
        apart_NK = heard_NK - reference_NK
        left_N = np.add.reduce(apart_NK * apart_NK, axis=1) * _HALF <= self._limit
        return Decision(left_N, scene_N), (reference_NK, scene_N, heard_NK, votes_NK, left_N)

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        if len(state) <= _BETWEEN:
            return state  # no branch was asked
        reference_NK, scene_N, heard_NK, votes_NK, left_N = state
        begins_N = ~left_N & (label_N != UNKNOWN) & ~np.isnan(heard_NK).any(axis=1)
        if not begins_N.any():
            return reference_NK, scene_N
        answer_NK = label_N[:, None] == np.arange(votes_NK.shape[1])
        voted_N = (2 * (votes_NK + answer_NK) + answer_NK).argmax(axis=1)  # half a vote more parts equals
        return np.where(begins_N[:, None], heard_NK, reference_NK), np.where(begins_N, voted_N, scene_N)


def _begun(state: State, logits_NK: NDArray[np.float32]) -> State:
    """All five arrays, of samples that have met no branch yet too."""
    if len(state) > _BETWEEN:
        return state
    unknown_NK = np.full_like(logits_NK, np.nan)
    between = state or (unknown_NK, np.full(len(logits_NK), UNKNOWN))
    return *between, unknown_NK, np.zeros(logits_NK.shape, np.int32), np.zeros(len(logits_NK), np.bool_)
