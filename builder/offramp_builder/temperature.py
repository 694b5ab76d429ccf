"""Temperature scaling (Guo and others, "On Calibration of Modern Neural Networks", 2017).

# N samples, K classes
"""

import math

import numpy as np
from numpy.typing import NDArray

_LOWEST, _HIGHEST = 0.05, 20.0
_STEPS = 60  # each shrinks the bracket by the golden ratio: far below any difference that matters


def fit_temperature(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64]) -> float:
    """The number by which to divide the logits so that their softmax means what it says: least negative log-likelihood.

    It lies in [0.05, 20]; the order of the classes does not change.
    """
    ratio = (math.sqrt(5) - 1) / 2
    # The loss is convex in 1 / temperature, so it has one valley; searched on a logarithmic scale.
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits_NK, truth_N, math.exp(left)) < negative_log_likelihood(
            logits_NK, truth_N, math.exp(right)
        ):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def negative_log_likelihood(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64], temperature: float) -> float:
    """Mean over the samples, in nats."""
    return float(negative_log_likelihoods(logits_NK, truth_N, temperature).mean())


def negative_log_likelihoods(
    logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64], temperature: float
) -> NDArray[np.float64]:
    """[N] of each sample, in nats."""
    scaled_NK = logits_NK.astype(np.float64) / temperature
    scaled_NK -= scaled_NK.max(axis=1, keepdims=True)
    log_sum_N = np.log(np.exp(scaled_NK).sum(axis=1))
    lost_N: NDArray[np.float64] = log_sum_N - scaled_NK[np.arange(len(truth_N)), truth_N]
    return lost_N
