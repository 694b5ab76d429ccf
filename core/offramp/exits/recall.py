"""Recall: what looks like samples that the stream has shown before, and that were answered alike, is answered so too.

    answers remembered of a stream      cat ● ●        ○ dog
    a sample at its first branch            ▲ cat: all within reach say so, so it leaves as one
                                                ▲ both within reach: it goes on, and is remembered with its answer
                                                        nobody within reach ▲ : the same

Ours, after difference detection ("Temporal Decisions", Sponner et al., arXiv 2403.07958), which remembers one scene:
where samples of two kinds take turns, every one of them begins another. Here a stream has many scenes at once, and
which of them a sample belongs to is asked of all that are near. As there, the distance is Euclid's, between the
probabilities (softmax of the raw logits) of the first branch that has a threshold, divided by the square root of 2:
thresholds lie in [0, 1], a higher one reaches further.

A sample is remembered with its answer, whoever gave it, unless all within reach of it say the same: it would add
nothing. The oldest is forgotten for a new one. Nothing is remembered of a sample that nobody answered, or whose branch
says nan.

|a - b|^2 / 2 = b.b / 2 - (a.b - a.a / 2), and b adds up to 1: remembered is a - a.a / 2, whose product with b is all in
the brackets. One product asks the whole memory; rounding makes thresholds below 0.0005 mean little.

# N samples (each of another stream), M remembered of each stream, K classes
"""

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import EVERYBODY, NOBODY, UNKNOWN, BranchOutputs, Decision, State, read_only
from offramp.exits.rows import Floats, dotted, lowered, summed
from offramp.exits.thresholds import shares
from offramp.plan import ExitRule

MEMORY = 32
"""Samples of each stream: on MIT-BIH's calibration patients, 128 saved no more."""
_BETWEEN = 3
"""Arrays of a state between two samples."""
_HALF = np.float32(0.5)
_NOTHING = read_only(np.array([UNKNOWN]))


class Recall:
    """Between samples, a state is (seen_NMK, answer_NM, place_N): a - a.a / 2 and its answer, and where the next go.

    From a sample's first branch on: (seen_NMK, answer_NM, place_N, heard_NK, agreed_N), what this one said at the
    branch that is compared, and what all within reach of it were answered (UNKNOWN: not the same, or there are none).
    What is not known, or was not heard, is nan.
    """

    temporal = True

    def __init__(self, rule: ExitRule) -> None:
        (self._cut, reach), *_ = shares(rule).items()
        self._square = np.float32(reach**2)

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        logits_NK = outputs.logits_NK
        count = len(logits_NK)
        if outputs.cut != self._cut:
            nobody_N = NOBODY if count == 1 else np.zeros(count, np.bool_)
            if len(state) > _BETWEEN:
                return Decision(nobody_N), state
            unheard_NK = np.full(logits_NK.shape, np.nan, np.float32)
            return Decision(nobody_N), (*(state or _no_memory(logits_NK)), unheard_NK, np.full(count, UNKNOWN))
        seen_NMK, answer_NM, place_N = state[:_BETWEEN] or _no_memory(logits_NK)
        if count == 1:
            heard_1K, agreed_1 = self._compare_one(logits_NK, seen_NMK, answer_NM)
            leaves_1 = NOBODY if agreed_1 is _NOTHING else EVERYBODY
            return Decision(leaves_1, agreed_1), (seen_NMK, answer_NM, place_N, heard_1K, agreed_1)
        heard_NK: Floats = np.exp(lowered(logits_NK))
        heard_NK /= summed(heard_NK)[:, None]
        met_NM = np.matmul(seen_NMK, heard_NK[:, :, None])[..., 0]
        near_NM = met_NM >= (dotted(heard_NK, heard_NK) * _HALF - self._square)[:, None]  # a nan is near to nothing
        nearby_N = answer_NM[np.arange(count), near_NM.argmax(axis=1)]  # of one of them
        agrees_N = near_NM.any(axis=1) & ~(near_NM & (answer_NM != nearby_N[:, None])).any(axis=1)
        agreed_N = np.where(agrees_N, nearby_N, UNKNOWN)
        return Decision(agrees_N, agreed_N), (seen_NMK, answer_NM, place_N, heard_NK, agreed_N)

    def _compare_one(
        self, logits_1K: Floats, seen_1MK: Floats, answer_1M: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.int64]]:
        """The same of one sample: (heard_1K, agreed_1)."""
        heard_1K: Floats = np.exp(logits_1K - logits_1K[0, logits_1K.argmax(), ...])
        heard_K = heard_1K[0]
        heard_K /= summed(heard_K)
        near_M = seen_1MK[0].dot(heard_K) >= heard_K.dot(heard_K) * _HALF - self._square
        if near_M.tobytes().find(1) < 0:  # a quarter of what `any` takes
            return heard_1K, _NOTHING
        near = set(answer_1M[0][near_M].tolist())
        return heard_1K, np.array([near.pop()]) if len(near) == 1 else _NOTHING

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        if len(state) <= _BETWEEN:
            return state  # no branch was asked
        seen_NMK, answer_NM, place_N, heard_NK, agreed_N = state
        # Who was answered by nobody did not leave, so nobody agreed either, and UNKNOWN equals UNKNOWN.
        rows = np.flatnonzero((label_N != agreed_N) & ~np.isnan(heard_NK[:, 0]))
        if not len(rows):
            return seen_NMK, answer_NM, place_N
        seen_NMK, answer_NM, place_N = seen_NMK.copy(), answer_NM.copy(), place_N.copy()
        new_NK = heard_NK[rows]
        seen_NMK[rows, place_N[rows]] = new_NK - dotted(new_NK, new_NK)[:, None] * _HALF
        answer_NM[rows, place_N[rows]] = label_N[rows]
        place_N[rows] = (place_N[rows] + 1) % MEMORY
        return seen_NMK, answer_NM, place_N


def _no_memory(logits_NK: Floats) -> State:
    count, classes = logits_NK.shape
    return (
        np.full((count, MEMORY, classes), np.nan, np.float32),
        np.full((count, MEMORY), UNKNOWN),
        np.zeros(count, np.int64),
    )
