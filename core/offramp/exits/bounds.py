"""Bounds on a mean that hold for any sample size, for losses in [0, 1].

    losses of a calibration split ─► a p-value for "the true mean is above the limit", or an upper bound of it

# M independent units, T thresholds
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HALVINGS = 27
"""Of the interval in which an upper bound is looked for: to 1e-8 of a loss."""
_NOT_ALL = 0.9
"""Share of the stake at which one loss of 1 would take everything: who bets all is ruined by the first."""
_ROUNDING = 1e-9
"""A mean times its count may miss a whole number by so much."""


def hoeffding_bentkus(mean_T: Floats, count: int, limit: float) -> Floats:
    """[T] p-values of "the mean of the losses is above `limit`" (Bates et al., JACM 2021, section 3.1.1).

    Of `count` independent losses in [0, 1] with mean `mean_T`: the smaller of Hoeffding's bound, in its sharp form, and
    Bentkus's. Below 1 only where the losses seen lie below the limit.
    """
    mean_T = np.asarray(mean_T, np.float64)
    below_T = np.minimum(mean_T, limit)
    hoeffding_T = np.exp(-count * _divergence(below_T, limit))
    bentkus_T = np.array([math.e * binomial_tail(_ceil(count * mean), count, limit) for mean in mean_T.tolist()])
    p_T: Floats = np.minimum(np.minimum(hoeffding_T, bentkus_T), 1.0)
    return p_T


def binomial_tail(most: int, count: int, chance: float) -> float:
    """The probability of at most `most` successes in `count` trials: the exact p-value where losses are 0 or 1."""
    if most >= count or chance <= 0.0:
        return 1.0
    if most < 0 or chance >= 1.0:
        return 0.0
    hits = np.arange(most + 1, dtype=np.float64)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    ways = factorials[count] - factorials[: most + 1] - factorials[count - most :][::-1]
    logs = ways + hits * math.log(chance) + (count - hits) * math.log1p(-chance)
    highest = float(logs.max())
    return min(1.0, float(np.exp(logs - highest).sum()) * math.exp(highest))


def betting_p(losses_MT: Floats, limit: float, delta: float) -> Floats:
    """[T] p-values of "the mean of the losses is above `limit`": one over the most that a bettor against it ever had.

    `delta` is what they will be compared with; it is asked for because the bettor stakes by it. At most `delta` exactly
    where `betting_upper` is at most `limit`, but for rounding.

    Raises:
        ValueError: A loss outside [0, 1].
    """
    losses_MT = _in_range(losses_MT)
    stakes_MT = _stakes(losses_MT, delta, _boldest(limit))
    p_T: Floats = np.exp(-_wealth(losses_MT, stakes_MT, np.full(losses_MT.shape[1], limit)))
    return p_T


def betting_upper(losses_MT: Floats, delta: float, limit: float = 0.0) -> Floats:
    """[T] upper bounds of the mean loss, each with probability 1 - `delta` (Waudby-Smith and Ramdas, JRSS B 2024).

    Somebody bets against every mean that is larger than what comes; a mean at which the wealth would have grown past
    1 / delta is no longer believed. The order of the units matters to the bound's value, not to its validity: shuffle
    them first if they are sorted by anything. `limit` is what the bound will be compared with, where that is known:
    against one of half the range and more, bolder bets are safe.

    Raises:
        ValueError: A loss outside [0, 1].
    """
    losses_MT = _in_range(losses_MT)
    boldest = _boldest(limit)
    stakes_MT = _stakes(losses_MT, delta, boldest)
    low_T = np.full(losses_MT.shape[1], max(0.0, 1.0 - 1.0 / boldest))  # below it, a loss of 1 would take more than all
    high_T = np.ones(losses_MT.shape[1])
    for _ in range(_HALVINGS):
        middle_T = (low_T + high_T) / 2
        # Larger means lose more of the bet, so what is refuted once is refuted for all that are larger.
        refuted_T = _wealth(losses_MT, stakes_MT, middle_T) >= math.log(1.0 / delta)
        high_T = np.where(refuted_T, middle_T, high_T)
        low_T = np.where(refuted_T, low_T, middle_T)
    return high_T


def _in_range(losses_MT: Floats) -> Floats:
    losses_MT = np.asarray(losses_MT, np.float64)
    if losses_MT.size and not (losses_MT.min() >= 0.0 and losses_MT.max() <= 1.0):
        raise ValueError(f"losses lie in [0, 1]; got {losses_MT.min():g} to {losses_MT.max():g}; rescale them first")
    return losses_MT


def _boldest(limit: float) -> float:
    """The most that is staked; 1, the usual choice, where limits are small."""
    return max(1.0, _NOT_ALL / (1.0 - limit))


def _stakes(losses_MT: Floats, delta: float, boldest: float) -> Floats:
    """What is bet on each unit, by the mean and variance of those before it."""
    count = len(losses_MT)
    seen_M1 = np.arange(1, count + 1, dtype=np.float64)[:, None]
    mean_MT = (0.5 + np.cumsum(losses_MT, axis=0)) / (1.0 + seen_M1)
    variance_MT = (0.25 + np.cumsum((losses_MT - mean_MT) ** 2, axis=0)) / (1.0 + seen_M1)
    before_MT = np.concatenate([np.full((1, losses_MT.shape[1]), 0.25), variance_MT[:-1]])
    stakes_MT: Floats = np.minimum(boldest, np.sqrt(2.0 * math.log(1.0 / delta) / (count * before_MT)))
    return stakes_MT


def _wealth(losses_MT: Floats, stakes_MT: Floats, mean_T: Floats) -> Floats:
    """[T] logarithm of the most that the bettor ever had."""
    gains_MT = np.log1p(-stakes_MT * (losses_MT - mean_T))
    most_T: Floats = np.cumsum(gains_MT, axis=0).max(axis=0, initial=0.0)
    return most_T


def _divergence(seen_T: Floats, limit: float) -> Floats:
    """Kullback and Leibler's, between coins that fall on one side with these chances."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first_T = np.where(seen_T > 0, seen_T * np.log(seen_T / limit), 0.0)
        second_T = np.where(seen_T < 1, (1 - seen_T) * np.log((1 - seen_T) / (1 - limit)), 0.0)
    return first_T + second_T


def _ceil(value: float) -> int:
    return math.ceil(value - _ROUNDING)
