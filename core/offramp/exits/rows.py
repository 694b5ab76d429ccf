"""Arithmetic on rows that is as fast for one sample as for many, and says the same of each.

A device decides about one sample at a time. There, numpy spends its microseconds on setting reductions and broadcasts
up, so a single row goes another way to the very same numbers.

# N samples, K classes
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
A = TypeVar("A", bound=np.generic)


def highest(values_NK: Floats) -> Floats:
    """[N] the largest of each row; nan where one is."""
    if len(values_NK) == 1:
        return values_NK[:, values_NK.argmax()]
    highest_N: Floats = np.maximum.reduce(values_NK, axis=1)
    return highest_N


def beside(column_N: NDArray[A]) -> NDArray[A]:
    """To be compared with rows [N, K], or taken off them: one alone as a scalar."""
    return column_N[0, ...] if len(column_N) == 1 else column_N[:, None]


def summed(values_NK: Floats) -> Floats:
    """[N]"""
    summed_N: Floats = np.add.reduce(values_NK, axis=1)
    return summed_N


def lowered(logits_NK: Floats) -> Floats:
    """Each row minus its largest, side by side in memory, so that a sum over one does not depend on the others."""
    logits_NK = np.ascontiguousarray(logits_NK)
    return logits_NK - beside(highest(logits_NK))
