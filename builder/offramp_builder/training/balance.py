"""Which samples an epoch meets, and in which order: each once, or rare classes more often than they come.

# N samples, K classes
"""

import numpy as np
from numpy.typing import NDArray

_RARE = 50
"""A class of fewer samples is drawn as if it had so many: over and over again, they would be learned by heart."""


def rows_of_epoch(truth_N: NDArray[np.int64], balance: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """[N] rows: with `balance` 0 each once; with 1 all classes equally often; between, in between.

    A class of n samples is drawn in proportion to n to the power of 1 - balance.
    """
    if not balance:
        return rng.permutation(len(truth_N))
    count_K = np.bincount(truth_N)
    weight_N = (np.maximum(count_K, _RARE).astype(np.float64) ** -balance)[truth_N]
    return rng.choice(len(truth_N), len(truth_N), p=weight_N / weight_N.sum())
