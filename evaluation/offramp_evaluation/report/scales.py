"""What all figures share: colours, round values along an axis, marks."""

import math

from offramp_evaluation.traces.canvas import Point

LONGEST = 32
"""Letters of a name that fit into a legend."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f", "#7f7f7f")
"""Okabe and Ito's, as in the page."""
INK, GRID = "#222222", "#dddddd"


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round values that lie evenly over a range."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(one * size for one in (1, 2, 2.5, 5, 10) if one * size >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; even steps where those are too few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{digit * 10.0**power:.6g}") for power in powers for digit in (1, 2, 5)]
    within = [value for value in found if low * 0.999 <= value <= high * 1.001]
    return within if len(within) >= 3 else ticks(low, high)


def short(name: str, longest: int = LONGEST) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def square(point: Point) -> list[Point]:
    x, y = point
    return [(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)]
