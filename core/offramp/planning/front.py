"""Pruning: what another one covers is not worth keeping.

# C candidates, D costs
"""

import numpy as np
from numpy.typing import NDArray


def uncovered(gain_C: NDArray[np.float64], cost_CD: NDArray[np.float64], slack_CD: NDArray[np.float64]) -> list[int]:
    """Positions of those to keep, the greatest gain first.

    One is covered, and dropped, when one that is kept gains at least as much and costs at most `slack_CD` more in
    anything: each one dropped has a kept one that stands for it. Without slack, this is the Pareto front.
    """
    # Of equal gains, the cheaper in all comes first, so that it covers the others.
    order = np.lexsort((cost_CD.sum(axis=1), -gain_C))
    kept: list[int] = []
    kept_KD = np.empty_like(cost_CD)
    for place in order.tolist():
        limit_D = cost_CD[place] + slack_CD[place]
        if not (kept_KD[: len(kept)] <= limit_D).all(axis=1).any():
            kept_KD[len(kept)] = cost_CD[place]
            kept.append(place)
    return kept
