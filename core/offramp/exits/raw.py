"""Confidence, entropy and margin of the logits as they are, without the branch's temperature.

raw-confidence  largest softmax probability >= threshold: the rule that most papers compare with
raw-entropy     -sum p ln p / ln K <= threshold
raw-margin      difference of the two largest probabilities >= threshold

What `confidence`, `entropy` and `margin` are without calibration, for comparison: those are fused into the graph, and
cheaper. Each is computed from what is left of a softmax once the largest logit is taken off, in float32, and the
quotient is never formed where a product does. A nan stays.

# N samples, K classes
"""

import math

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.exits.thresholds import Limit, limits, shares
from offramp.plan import ExitRule

Floats = NDArray[np.float32]

_ONE = np.ones(1, np.float32)


class _Raw(Instance):
    def __init__(self, rule: ExitRule) -> None:
        self._limits = limits(shares(rule))

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        limit = self._limits.get(outputs.cut)
        if limit is None:
            return nobody_leaves(outputs), state
        return Decision(self._leaves(lowered(outputs.logits_NK), limit)), state

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        raise NotImplementedError


class RawConfidence(_Raw):
    """1 / sum exp(lowered) is the largest probability."""

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        leaves_N: NDArray[np.bool_] = np.add.reduce(np.exp(lowered_NK), axis=1) * limit <= _ONE
        return leaves_N


class RawEntropy(_Raw):
    """ln sum exp(lowered) - sum lowered exp(lowered) / sum exp(lowered), of at most ln K."""

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        exp_NK = np.exp(lowered_NK)
        sum_N = np.add.reduce(exp_NK, axis=1)
        entropy_N = np.log(sum_N) - np.add.reduce(exp_NK * lowered_NK, axis=1) / sum_N
        leaves_N: NDArray[np.bool_] = entropy_N <= limit * np.float32(math.log(lowered_NK.shape[1]))
        return leaves_N


class RawMargin(_Raw):
    """(1 - the second largest exp(lowered)) / sum exp(lowered)."""

    def _leaves(self, lowered_NK: Floats, limit: Limit) -> NDArray[np.bool_]:
        exp_NK = np.exp(lowered_NK)
        needed_N = np.add.reduce(exp_NK, axis=1) * limit
        ahead_N = _ONE
        if exp_NK.shape[1] > 1:
            exp_NK.partition(-2, axis=1)
            ahead_N = _ONE - exp_NK[:, -2]
        leaves_N: NDArray[np.bool_] = ahead_N >= needed_N
        return leaves_N


@np.errstate(invalid="ignore")  # of infinite ones, which become nan
def lowered(logits_NK: Floats) -> Floats:
    """Each row minus its largest, in the order of C, so that sums over a row are those of the row alone."""
    top_N1 = np.maximum.reduce(logits_NK, axis=1, keepdims=True)
    lowered_NK: Floats = np.subtract(logits_NK, top_N1, order="C")
    return lowered_NK


def nobody_leaves(outputs: BranchOutputs) -> Decision:
    return Decision(np.zeros(len(outputs.scores_NS), dtype=np.bool_))
