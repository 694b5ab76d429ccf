"""How well latencies were foretold: predicted against measured mean, one pair for each stretch of a run.

# P stretches
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionError:
    """Of |predicted - measured| / measured."""

    stretches: int
    """That were foretold and long enough to be measured."""
    median: float
    """NaN without a stretch."""
    p95: float


def prediction_error(predicted: ArrayLike, measured: ArrayLike) -> PredictionError:
    """Of pairs of mean latencies in seconds, [P] each.

    Raises:
        ValueError: Not as many of one as of the other, or a measured time that is not positive.
    """
    predicted_P, measured_P = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    if predicted_P.shape != measured_P.shape or not np.all(measured_P > 0):
        raise ValueError(f"a positive measured time for each prediction: {predicted_P.shape}, {measured_P}")
    if len(measured_P) == 0:
        return PredictionError(stretches=0, median=math.nan, p95=math.nan)
    error_P = np.abs(predicted_P - measured_P) / measured_P
    median, p95 = (float(value) for value in np.quantile(error_P, [0.5, 0.95]))
    return PredictionError(stretches=len(error_P), median=median, p95=p95)
