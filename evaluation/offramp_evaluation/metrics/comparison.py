"""Is one strategy better than another? Said only when the paired difference says so.

Both strategies answered the same samples of the same streams over the same link, so the difference is taken sample by
sample and most of the noise cancels; what remains is judged by drawing whole streams with replacement.

# N samples, the same ones for both
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from offramp_evaluation.metrics.intervals import (
    CONFIDENCE,
    MEAN,
    REPLICATES,
    Interval,
    Statistic,
    evaluate,
    fewest_units,
    number_units,
    replicate,
    widened_tail,
)


class Verdict(StrEnum):
    FIRST = "first"
    SECOND = "second"
    UNDECIDED = "undecided"
    """The interval holds 0: neither may be called better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """First minus second."""

    difference: float
    interval: Interval
    statistic: str
    verdict: Verdict


def compare(
    first: ArrayLike,
    second: ArrayLike,
    units: ArrayLike,
    *,
    better: Literal["lower", "higher"],
    statistic: Statistic = MEAN,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Which of two is better at a mean or a quantile; row i of both arrays is the same sample, of unit `units[i]`.

    Who makes many comparisons divides the error among them: `confidence = 1 - 0.05 / m` for m of them.

    Raises:
        ValueError: A value that is not finite (leave out, or count at the deadline, what was not answered), or arrays
            of unequal length.
    """
    first_N, second_N = np.asarray(first, np.float64), np.asarray(second, np.float64)
    unit_N, count = number_units(units)
    if not first_N.shape == second_N.shape == unit_N.shape:
        raise ValueError(f"a pair of values for each sample: {first_N.shape}, {second_N.shape}, units {unit_N.shape}")
    if not (np.all(np.isfinite(first_N)) and np.all(np.isfinite(second_N))):
        raise ValueError("every value must be finite: leave out what was not answered, or count it at the deadline")
    difference = evaluate(first_N, statistic) - evaluate(second_N, statistic)
    if count < fewest_units(confidence):
        low, high = -math.inf, math.inf
    else:
        # One seed, so the same streams are drawn for both: that is the pairing.
        seen_R = [replicate(values_N, unit_N, count, statistic, replicates, seed) for values_N in (first_N, second_N)]
        tail = widened_tail(count, confidence)
        low, high = (float(bound) for bound in np.quantile(seen_R[0] - seen_R[1], [tail, 1 - tail]))
    interval = Interval(low=low, high=high, confidence=confidence, units=count)
    return Comparison(
        difference=difference, interval=interval, statistic=str(statistic), verdict=_judge(interval, better)
    )


def _judge(interval: Interval, better: Literal["lower", "higher"]) -> Verdict:
    if not interval.excludes(0.0):
        return Verdict.UNDECIDED
    first_is_lower = interval.high < 0
    return Verdict.FIRST if first_is_lower is (better == "lower") else Verdict.SECOND
