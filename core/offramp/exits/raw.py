"""Confidence, entropy and margin of the logits as they are, without the branch's temperature.

raw-confidence  largest softmax probability >= threshold: the rule that most papers compare with
raw-entropy     -sum p ln p / ln K <= threshold
raw-margin      difference of the two largest probabilities >= threshold

What `confidence`, `entropy` and `margin` are without calibration, for comparison: those are fused into the graph, and
cheaper. Each is computed in float32 from what is left of a softmax once the largest logit is taken off, and quotients
are multiplied out. A nan stays.

# N samples, K classes
"""

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.exits.rows import Floats, lowered, summed
from offramp.exits.thresholds import Limit, limit_of, limits, shares
from offramp.plan import ExitRule

_ONE = limit_of(1.0)


class _Raw(Instance):
    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        limit = self._limits.get(outputs.cut)
        if limit is None:
            return Decision(np.zeros(len(outputs.scores_NS), np.bool_)), state
        return Decision(self._leaves(lowered(outputs.logits_NK), limit)), state

    @abstractmethod
    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        """[N] of logits less their largest."""


class RawConfidence(_Raw):
    """1 / sum exp(lowered) >= limit"""

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        return summed(np.exp(lowered_NK)) * limit <= _ONE


class RawEntropy(_Raw):
    """ln sum exp(lowered) - sum lowered exp(lowered) / sum exp(lowered) <= limit ln K"""

    def __init__(self, rule: ExitRule) -> None:
        super().__init__(rule)
        self._nats: dict[int, Limit] = {}

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        exp_NK = np.exp(lowered_NK)
        sum_N = summed(exp_NK)
        too_spread_N: Floats = np.log(sum_N) - limit * self._most(lowered_NK.shape[1])
        return too_spread_N * sum_N <= summed(exp_NK * lowered_NK)

    def _most(self, classes: int) -> Limit:
        """ln K"""
        if classes not in self._nats:
            self._nats[classes] = limit_of(math.log(classes))
        return self._nats[classes]


class RawMargin(_Raw):
    """(1 - the second largest exp(lowered)) / sum exp(lowered) >= limit"""

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        exp_NK = np.exp(lowered_NK)
        needed_N = summed(exp_NK) * limit
        if exp_NK.shape[1] == 1:
            return needed_N <= _ONE
        exp_NK.partition(-2, axis=1)
        return _ONE - exp_NK[:, -2] >= needed_N
