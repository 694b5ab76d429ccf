"""Half of a calibration part, kept for certificates alone.

What a promise rests on may not have been looked at before: not to fit temperatures, and not to tune thresholds.

# N samples
"""

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
"""The constants of splitmix64 (Steele, Lea, Flood, OOPSLA 2014), which turns counting numbers into random ones."""


def held_out(unit_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples are kept: those of about half of the units.

    Drawn by the unit's number alone, so that a build and a later certificate draw the same ones, even where one of them
    saw fewer samples.
    """
    mixed_N = unit_N.astype(np.uint64) + _INCREMENT
    for shift, factor in _MULTIPLIERS:
        mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * np.uint64(factor)
    mixed_N ^= mixed_N >> np.uint64(31)
    return (mixed_N & np.uint64(1)).astype(np.bool_)


def to_fit(unit_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The samples that calibration may look at: the others; all of them where there are too few for two halves."""
    kept_N = held_out(unit_N)
    return np.ones(len(unit_N), np.bool_) if kept_N.all() else ~kept_N
