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

from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.exits.rows import beside, highest
from offramp.exits.thresholds import Limit, limit_of, shares
from offramp.plan import ExitRule

Alive = NDArray[np.bool_]

_LAST = np.array(1)
_OUT = limit_of(-math.inf)


class Exclusion(Instance):
    """A state is the alive classes [N, K]."""

    def __init__(self, rule: ExitRule) -> None:
        self._limits = {cut: (_logarithm(share), _logarithm(1.0 - share)) for cut, share in shares(rule).items()}

    @np.errstate(invalid="ignore")  # of a nan
    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        logits_NK = outputs.logits_NK
        before_NK = alive_of(state)
        if before_NK is None:
            before_NK = np.full(logits_NK.shape, fill_value=True)
        if outputs.cut not in self._limits:
            return Decision(np.zeros(len(logits_NK), np.bool_)), (before_NK,)
        share, rest = self._limits[outputs.cut]
        heard_NK = self._heard(logits_NK, before_NK)
        top_N = highest(heard_NK)
        bound_N = share - np.logaddexp(-top_N, rest)
        # Alive and not struck out; a nan compares as False, so that it strikes out nobody.
        alive_NK = np.greater(before_NK, heard_NK <= beside(bound_N)) | (heard_NK == beside(top_N))
        leaves_N = np.add.reduce(alive_NK, axis=1) == _LAST
        return self._decided(leaves_N, heard_NK), (alive_NK,)

    def _heard(self, logits_NK: NDArray[np.float32], alive_NK: Alive) -> NDArray[np.float32]:
        del alive_NK
        return logits_NK

    def _decided(self, leaves_N: NDArray[np.bool_], heard_NK: NDArray[np.float32]) -> Decision:
        del heard_NK
        return Decision(leaves_N)  # the one that is left is the highest scorer


class MonotoneExclusion(Exclusion):
    """Hears of the alive alone."""

    def _heard(self, logits_NK: NDArray[np.float32], alive_NK: Alive) -> NDArray[np.float32]:
        return np.where(alive_NK, logits_NK, _OUT)

    def _decided(self, leaves_N: NDArray[np.bool_], heard_NK: NDArray[np.float32]) -> Decision:
        return Decision(leaves_N, heard_NK.argmax(axis=1))


def alive_of(state: State) -> Alive | None:
    """[N, K] the classes that are not struck out, from the state after `decide`, of any rule; None: it excludes none.

    Of several such policies, one over the other, those that all of them leave alive.
    """
    alive_NK: Alive | None = None
    for array in state:
        if array.dtype.kind == "b" and array.ndim == 2:  # no other policy remembers an array like that
            alive_NK = array if alive_NK is None else alive_NK & array
    return alive_NK


def _logarithm(share: float) -> Limit:
    return limit_of(math.log(share) if share > 0.0 else -math.inf)
