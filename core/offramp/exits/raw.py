"""Confidence, entropy and margin of the logits as they are, without the branch's temperature.

raw-confidence  largest softmax probability >= threshold: the rule that most papers compare with
raw-entropy     -sum p ln p / ln K <= threshold
raw-margin      difference of the two largest probabilities >= threshold

What `confidence`, `entropy` and `margin` are without calibration, for comparison: those are fused into the graph, and
cheaper. Each is computed in float32 from what is left of a softmax once the largest logit is taken off, and quotients
are multiplied out. A nan stays.

# N samples, K classes; what is `lowered` is [N, K], or one row [K]
"""

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import BranchOutputs, Decision, Instance, State, alone
from offramp.exits.rows import Floats, dotted, lowered, summed
from offramp.exits.thresholds import limits, shares
from offramp.plan import ExitRule

_ONE = np.float32(1.0)


class _Raw(Instance):
    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        limit, logits_NK = self._limits.get(outputs.cut), outputs.logits_NK
        if limit is None:
            return Decision(np.zeros(len(logits_NK), np.bool_)), state
        if len(logits_NK) == 1:
            return alone(bool(self._leaves(lowered(logits_NK[0]), limit))), state
        return Decision(self._leaves(lowered(logits_NK), limit)), state

    @abstractmethod
    def _leaves(self, lowered: Floats, limit: np.float32) -> NDArray[np.bool_]:
        """[N] by logits less their largest; by those of one sample, a scalar."""


class RawConfidence(_Raw):
    """1 / sum exp(lowered) >= limit"""

    def _leaves(self, lowered: Floats, limit: np.float32) -> NDArray[np.bool_]:
        return summed(np.exp(lowered)) * limit <= _ONE


class RawEntropy(_Raw):
    """ln sum exp(lowered) - sum lowered exp(lowered) / sum exp(lowered) <= limit ln K"""

    def __init__(self, rule: ExitRule) -> None:
        super().__init__(rule)
        self._nats: dict[int, np.float32] = {}

    def _leaves(self, lowered: Floats, limit: np.float32) -> NDArray[np.bool_]:
        exp = np.exp(lowered)
        total = summed(exp)
        too_spread: Floats = np.log(total) - limit * self._most(lowered.shape[-1])
        return too_spread * total <= dotted(exp, lowered)

    def _most(self, classes: int) -> np.float32:
        """ln K"""
        if classes not in self._nats:
            self._nats[classes] = np.float32(math.log(classes))
        return self._nats[classes]


class RawMargin(_Raw):
    """(1 - the second largest exp(lowered)) / sum exp(lowered) >= limit"""

    def _leaves(self, lowered: Floats, limit: np.float32) -> NDArray[np.bool_]:
        exp = np.exp(lowered)
        needed = summed(exp) * limit
        if exp.shape[-1] == 1:
            return needed <= _ONE
        exp.partition(-2, axis=-1)
        ahead: Floats = _ONE - exp.T[-2]
        return ahead >= needed
