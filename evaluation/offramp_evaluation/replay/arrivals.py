"""When samples arrive.

# M samples
"""

import numpy as np
from numpy.typing import NDArray

from offramp.errors import SettingsError

Times = NDArray[np.float64]


def fixed(rate: float, count: int, *, phase: float = 0.0) -> Times:
    """[M] every 1 / rate seconds, as a camera delivers; `phase` in [0, 1) shifts it within one period."""
    _check(rate, count)
    times: Times = (np.arange(count, dtype=np.float64) + phase) / rate
    return times


def poisson(rate: float, count: int, *, seed: int) -> Times:
    """[M] independent of each other, `rate` a second on average."""
    _check(rate, count)
    gaps: Times = np.random.default_rng(seed).exponential(1.0 / rate, count)
    return np.cumsum(gaps)


def recorded(times: Times) -> Times:
    """[M] as they were, from the first on.

    Raises:
        SettingsError: They are not in order.
    """
    if np.any(np.diff(times) < 0):
        raise SettingsError("recorded arrivals are not in order; sort them by time")
    shifted: Times = times - times[0]
    return shifted


def _check(rate: float, count: int) -> None:
    if not rate > 0 or not np.isfinite(rate):
        raise SettingsError(f"{rate:g} samples a second cannot arrive; give a positive rate")
    if count < 1:
        raise SettingsError(f"{count} samples make no run; give at least 1")
