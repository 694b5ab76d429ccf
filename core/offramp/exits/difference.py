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
the final answer counts; the branches that vote are those with a threshold, whose value matters at the first one alone
(`difference:0.1@2` asks one, and the final answer decides); a sample that nobody answered, or whose first branch says
nan, leaves the scene as it was.

# N samples (each of another stream), B branches of the rule, K classes
"""

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import EVERYBODY, NOBODY, UNKNOWN, BranchOutputs, Decision, State, read_only
from offramp.exits.rows import Floats, dotted, lowered, summed
from offramp.exits.thresholds import shares
from offramp.plan import ExitRule

_BETWEEN = 2
"""Arrays of a state between two samples."""


class Difference:
    """Between samples, a state is (reference_NK, scene_N): probabilities at a scene's beginning, and its label.

    From a sample's first branch on: (reference_NK, scene_N, heard_NK, voted_NB, left_N), what this one said at the
    branch that is compared, how branches voted (UNKNOWN: not at all), and whether it left for looking alike. What is
    not known of a reference, or was not heard, is nan.
    """

    temporal = True

    def __init__(self, rule: ExitRule) -> None:
        thresholds = shares(rule)
        self._place = {cut: place for place, cut in enumerate(thresholds)}
        self._unvoted_1B = read_only(np.full((1, len(thresholds)), UNKNOWN))
        self._limit = np.float32(2.0 * next(iter(thresholds.values())) ** 2)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        place = self._place.get(outputs.cut)
        if place == 0:
            return (self._compare_one if len(outputs.logits_NK) == 1 else self._compare)(outputs.logits_NK, state)
        reference_NK, scene_N, heard_NK, voted_NB, _ = self._begun(outputs.logits_NK, state)
        if place is not None:
            voted_NB = voted_NB.copy()
            voted_NB[:, place] = outputs.logits_NK.argmax(axis=1)
        left_N = _nobody(len(outputs.logits_NK))
        return Decision(left_N), (reference_NK, scene_N, heard_NK, voted_NB, left_N)

    def _compare(self, logits_NK: Floats, state: State) -> tuple[Decision, State]:
        """At the first branch."""
        reference_NK, scene_N = state[:_BETWEEN] or _no_scene(logits_NK)
        heard_NK: Floats = np.exp(lowered(logits_NK))
        heard_NK /= summed(heard_NK)[:, None]
        apart_NK: Floats = heard_NK - reference_NK
        left_N = dotted(apart_NK, apart_NK) <= self._limit
        voted_NB = self._unvoted_1B.repeat(len(logits_NK), axis=0)
        voted_NB[:, 0] = logits_NK.argmax(axis=1)
        return Decision(left_N, scene_N), (reference_NK, scene_N, heard_NK, voted_NB, left_N)

    def _compare_one(self, logits_1K: Floats, state: State) -> tuple[Decision, State]:
        """The same of one sample."""
        reference_1K, scene_1 = state[:_BETWEEN] or _no_scene(logits_1K)
        says = logits_1K.argmax()
        heard_1K: Floats = np.exp(logits_1K - logits_1K[0, says, ...])
        heard_K = heard_1K[0]
        heard_K /= summed(heard_K)
        apart_K: Floats = heard_K - reference_1K[0]
        left_1 = EVERYBODY if apart_K.dot(apart_K) <= self._limit else NOBODY
        voted_1B = self._unvoted_1B.copy()
        voted_1B[0, 0] = says
        return Decision(left_1, scene_1), (reference_1K, scene_1, heard_1K, voted_1B, left_1)

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        if len(state) <= _BETWEEN:
            return state  # no branch was asked
        reference_NK, scene_N, heard_NK, voted_NB, left_N = state
        begins_N = ~(left_N | (label_N == UNKNOWN) | np.isnan(heard_NK[:, 0]))
        if not begins_N.any():
            return reference_NK, scene_N
        named_N = np.where(begins_N, _most_named(voted_NB, label_N, heard_NK.shape[1]), scene_N)
        return np.where(begins_N[:, None], heard_NK, reference_NK), named_N

    def _begun(self, logits_NK: Floats, state: State) -> State:
        """All five arrays, of samples that may have met no branch yet."""
        if len(state) > _BETWEEN:
            return state
        heard_NK, count = np.full(logits_NK.shape, np.nan, np.float32), len(logits_NK)
        return *(state or _no_scene(logits_NK)), heard_NK, self._unvoted_1B.repeat(count, axis=0), _nobody(count)


def _nobody(count: int) -> NDArray[np.bool_]:
    return NOBODY if count == 1 else np.zeros(count, np.bool_)


def _no_scene(logits_NK: Floats) -> State:
    return np.full(logits_NK.shape, np.nan, np.float32), np.full(len(logits_NK), UNKNOWN)


def _most_named(voted_NB: NDArray[np.int64], answer_N: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """[N] the class with the most votes; the answer has one too, and half a vote more between equals."""
    named_NK = (voted_NB[:, :, None] == np.arange(classes)).sum(axis=1)
    named_N: NDArray[np.int64] = (2 * named_NK + 3 * (answer_N[:, None] == np.arange(classes))).argmax(axis=1)
    return named_N
