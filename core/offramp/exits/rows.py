"""Arithmetic on rows, and on one row alone: the very same numbers, several times as fast.

A device decides about one sample at a time. There, numpy spends its microseconds on setting reductions and broadcasts
up. Of one row, a sum is a scalar and so is all that follows from it, and scalars cost next to nothing. Both ways are
the same operations in float32, element by element; and sums are dot products, whose BLAS call is the same for a row
alone (`dot`) as for each of many (`vecdot`), and starts in half the time that a reduction takes to.

# N samples, K classes; `values` are [N, K], or one row [K]
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def dotted(values: Floats, others: Floats) -> Floats:
    """Of each two rows that lie side by side in memory, [N]; of one and one, a scalar."""
    product: Floats = values.dot(others) if values.ndim == 1 else np.vecdot(values, others)
    return product


def summed(values: Floats) -> Floats:
    """Of each row, [N]; of one alone, a scalar."""
    total: Floats = values.dot(_ones(len(values))) if values.ndim == 1 else np.vecdot(values, _ones(values.shape[1]))
    return total


def lowered(logits: Floats) -> Floats:
    """Each row minus its largest, side by side in memory. One with a nan becomes nan."""
    if logits.ndim == 1:
        return logits - logits[logits.argmax(), ...]  # ...: an array of no dimensions is taken off faster than a scalar
    logits = np.ascontiguousarray(logits)
    return logits - np.maximum.reduce(logits, axis=1, keepdims=True)


@cache
def _ones(count: int) -> Floats:
    return np.ones(count, np.float32)
