"""Whether confidences mean what they say: of the samples at 80 %, are 80 in 100 right?

    confidence and right or wrong, sample by sample ─► bins ─► how far each bin is off ─► expected calibration error

Naeini, Cooper, Hauskrecht (AAAI 2015); bins of equal width as Guo et al. (ICML 2017) have them, and bins of equal mass,
which do not leave half of the range to a handful of samples (Nixon et al., 2019).

# N samples
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Samples of nearly the same confidence."""

    low: float
    high: float
    """The range of confidence that it covers; low itself belongs to the bin before."""
    samples: int
    confidence: float
    """On average."""
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Of one exit."""

    bins: tuple[Bin, ...]
    """Of equal width, those that are empty left out."""
    width_error: float
    """Expected calibration error over bins of equal width."""
    mass_error: float
    """The same over bins of equal mass."""
    accuracy: float
    confidence: float
    """On average; above the accuracy where the exit is overconfident."""


def reliability(confidence_N: Floats, right_N: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Of samples with these confidences, in [0, 1], of which some were right."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    place_N = np.clip(np.searchsorted(edges, confidence_N, side="left") - 1, 0, bins - 1)
    wide = [
        _bin(float(edges[place]), float(edges[place + 1]), confidence_N[place_N == place], right_N[place_N == place])
        for place in range(bins)
        if (place_N == place).any()
    ]
    order = np.argsort(confidence_N, kind="stable")
    heavy = [
        _bin(float(confidence_N[rows[0]]), float(confidence_N[rows[-1]]), confidence_N[rows], right_N[rows])
        for rows in np.array_split(order, bins)
        if len(rows)
    ]
    return Reliability(
        bins=tuple(wide),
        width_error=_error(wide),
        mass_error=_error(heavy),
        accuracy=float(right_N.mean()),
        confidence=float(confidence_N.mean()),
    )


def _bin(low: float, high: float, confidence_N: Floats, right_N: NDArray[np.bool_]) -> Bin:
    return Bin(
        low=low,
        high=high,
        samples=len(confidence_N),
        confidence=float(confidence_N.mean()),
        accuracy=float(right_N.mean()),
    )


def _error(bins: Sequence[Bin]) -> float:
    """How far accuracy is from confidence, on average over samples."""
    total = sum(one.samples for one in bins)
    return sum(one.samples * abs(one.accuracy - one.confidence) for one in bins) / total
