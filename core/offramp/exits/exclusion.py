"""Class exclusion: every branch strikes out classes; who has one left, leaves.

    scores of three branches     0.9 0.5 0.1 0.02    0.8 0.1 0.3 0.1    0.9 0.01 0.02 0.02
    alive (threshold 0.2)          ●   ●   ·    ·      ●   ·   ·   ·  ─► one is left: it is the answer

Early-Exit with Class Exclusion (Wang, Li, Zhang, AICAS 2024, arXiv 2309.13443): a class stays alive while its sigmoid
score is more than `threshold` times the highest, so 0 strikes out nobody and a higher threshold is more lenient.

exclusion           the original: the class that scores highest here is alive again, whatever branches before said
exclusion-monotone  ours: who is struck out stays so; the highest score, and the answer, are those among the alive

Where the original is silent: the highest scorer always survives its own branch (which matters at a threshold of 1
alone), and of equal highest scorers all do. A branch whose logits hold a nan strikes out nobody.

sigmoid(l) > threshold * sigmoid(top) is asked as a bound on l, which spares K exponentials and never saturates:

    l  >  ln(threshold) - ln(exp(-top) + 1 - threshold)

# N samples, K classes
"""

import math

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import EVERYBODY, BranchOutputs, Decision, Instance, State, alone
from offramp.exits.rows import Floats
from offramp.exits.thresholds import shares
from offramp.plan import ExitRule

Alive = NDArray[np.bool_]
Limit = tuple[np.float32, np.float32]
"""Logarithms of the threshold, and of what is left of 1."""

_OUT = np.array(-math.inf, np.float32)


class Exclusion(Instance):
    """A state is the alive classes [N, K]."""

    _monotone = False

    def __init__(self, rule: ExitRule) -> None:
        self._limits = {cut: (_logarithm(share), _logarithm(1.0 - share)) for cut, share in shares(rule).items()}

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        heard_NK, limit = outputs.logits_NK, self._limits.get(outputs.cut)
        before_NK: Alive | None = state[0] if state else None
        if limit is None:
            return Decision(np.zeros(len(heard_NK), np.bool_)), (_all_of(heard_NK, before_NK),)
        if len(heard_NK) == 1:
            return self._decide_alone(heard_NK, limit, before_NK)
        if self._monotone and before_NK is not None:
            heard_NK = np.where(before_NK, heard_NK, _OUT)
        best_N = heard_NK.argmax(axis=1)
        top_N1 = np.take_along_axis(heard_NK, best_N[:, None], axis=1)
        with np.errstate(invalid="ignore"):  # of a nan
            alive_NK = _alive(heard_NK, _bound(top_N1, limit), before_NK) | self._highest(heard_NK, top_N1, before_NK)
        leaves_N = (np.add.reduce(alive_NK, axis=1) == 1) & ~np.isnan(top_N1[:, 0])
        return Decision(leaves_N, best_N if self._monotone else None), (alive_NK,)

    def _decide_alone(self, heard_1K: Floats, limit: Limit, before_1K: Alive | None) -> tuple[Decision, State]:
        """The same of one sample, without the steps that seldom change anything."""
        best_1 = heard_1K.argmax(axis=1)
        if self._monotone and before_1K is not None and not before_1K[0, best_1.item()]:
            heard_1K = np.where(before_1K, heard_1K, _OUT)
            best_1 = heard_1K.argmax(axis=1)
        top = heard_1K[0, best_1.item()]
        if math.isnan(top):
            return alone(leaves=False), (_all_of(heard_1K, before_1K),)
        bound = _bound(top, limit)
        alive_1K = _alive(heard_1K, bound, before_1K)
        if bound >= top or (before_1K is not None and not self._monotone):
            alive_1K |= self._highest(heard_1K, top, before_1K)
        leaves = np.count_nonzero(alive_1K) == 1
        if self._monotone and leaves:
            return Decision(EVERYBODY, best_1), (alive_1K,)
        return alone(leaves), (alive_1K,)  # the one that is left is the highest scorer

    def _highest(self, heard_NK: Floats, top: Floats, before_NK: Alive | None) -> Alive:
        """[N, K] who survives whatever the bound."""
        highest_NK: Alive = heard_NK == top
        return highest_NK & before_NK if self._monotone and before_NK is not None else highest_NK


class MonotoneExclusion(Exclusion):
    """Hears of the alive alone."""

    _monotone = True


def alive_of(state: State) -> Alive | None:
    """[N, K] the classes that are not struck out, from the state after `decide`, of any rule; None: it excludes none.

    Of several such policies, one over the other, those that all of them leave alive.
    """
    alive_NK: Alive | None = None
    for array in state:
        if array.dtype.kind == "b" and array.ndim == 2:  # no other policy remembers an array like that
            alive_NK = array if alive_NK is None else alive_NK & array
    return alive_NK


def _bound(top: Floats, limit: Limit) -> Floats:
    """On logits, by the highest of a sample [N, 1]; of one sample, scalars."""
    share, rest = limit
    bound: Floats = share - np.logaddexp(-top, rest)
    return bound


def _alive(heard_NK: Floats, bound: Floats, before_NK: Alive | None) -> Alive:
    """[N, K]"""
    struck_NK = heard_NK <= bound  # a nan compares as False, so it strikes out nobody
    return ~struck_NK if before_NK is None else before_NK > struck_NK


def _all_of(logits_NK: Floats, before_NK: Alive | None) -> Alive:
    return np.full(logits_NK.shape, fill_value=True) if before_NK is None else before_NK


def _logarithm(share: float) -> np.float32:
    return np.float32(math.log(share) if share > 0.0 else -math.inf)
