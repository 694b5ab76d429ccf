"""How often a branch says what the whole network says, from labels that resemble their neighbours.

Frames of one scene err together, so a thousand labels may be worth fifty. They are counted in blocks of neighbours: how
much the blocks differ tells what the labels are worth. Never less than one a block, never more than one each.

# L labels, B blocks
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SCENE = 16
"""Samples after which a stream shows something else: what lies further apart is taken as independent."""
CONFIDENCE = 0.95
"""Of each bound, taken alone."""
Z = NormalDist().inv_cdf(CONFIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share, and what it may be."""

    value: float
    low: float
    high: float
    labels: int
    """Behind it."""

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}, {self.labels} labels)"


@dataclass(frozen=True, slots=True)
class Label:
    """One sample for which both the branch and the whole network have answered."""

    position: int
    """In the stream of all samples."""
    left: int
    """Samples that had left on the device up to then."""
    step: int
    """See `offramp.exits.steps`."""
    agrees: bool
    weight: float
    """Samples for which it stands: one over the share that was drawn."""


def agreement(labels: Iterable[Label], steps: Sequence[int]) -> list[Estimate | None]:
    """For each step, the weighted share that agrees among the labels that reach it; None where none does.

    With Wilson's bounds over what the labels are worth.
    """
    columns = np.array([(one.step, one.weight, not one.agrees, one.position // SCENE) for one in labels], np.float64)
    step_L, weight_L, wrong_L, block_L = columns.reshape(-1, 4).T
    blocks_L = np.unique(block_L, return_inverse=True)[1]
    found = []
    for step in steps:
        there_L = step_L >= step
        found.append(_estimate(weight_L[there_L], wrong_L[there_L], blocks_L[there_L]) if there_L.any() else None)
    return found


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Wilson's bounds for a share seen in so many independent trials (Wilson, JASA 1927)."""
    centre = share + Z * Z / (2 * trials)
    spread = Z * sqrt((share * (1.0 - share) + Z * Z / (4 * trials)) / trials)
    scale = 1.0 + Z * Z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _estimate(weight_L: Floats, wrong_L: Floats, block_L: NDArray[np.int64]) -> Estimate:
    weight_B, wrong_B = np.bincount(block_L, weight_L), np.bincount(block_L, weight_L * wrong_L)
    total = float(weight_B.sum())
    share = 1.0 - float(wrong_B.sum()) / total
    worth = total**2 / float((weight_B**2).sum())
    if 0.0 < share < 1.0:
        # Variance of a ratio over clusters (Cochran, Sampling Techniques, section 6.3).
        variance = float(((wrong_B - (1.0 - share) * weight_B) ** 2).sum()) / total**2
        most = total**2 / float((weight_L**2).sum())
        worth = min(max(worth, share * (1.0 - share) / max(variance, 1e-12)), most)
    low, high = wilson(share, worth)
    return Estimate(value=share, low=low, high=high, labels=len(weight_L))
