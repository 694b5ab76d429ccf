"""Half of a calibration part, kept for certificates alone.

What a promise rests on may not have been looked at before: not to fit temperatures, and not to tune thresholds.

# N samples
"""

import numpy as np
from numpy.typing import NDArray

_FULL = 0xFFFFFFFFFFFFFFFF
_STEP = 0x9E3779B97F4A7C15
"""Between the seeds: 2^64 over the golden ratio, as splitmix64 counts."""


def held_out(unit_N: NDArray[np.int64], seed: int = 0) -> NDArray[np.bool_]:
    """Which samples are kept: those of about half of the units.

    Drawn by the unit's number and the seed alone, so that a build and a later certificate draw the same ones even where
    one of them saw fewer samples. The mixing is the end of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    mixed_N = unit_N.astype(np.uint64) + np.uint64((seed + 1) * _STEP & _FULL)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * np.uint64(factor)
    mixed_N ^= mixed_N >> np.uint64(31)
    return (mixed_N & np.uint64(1)).astype(np.bool_)
