"""How sure a number is: Wilson's interval for shares, the bootstrap over independent units for the rest.

Neighbouring frames of one stream resemble each other, so ten thousand of them are no ten thousand observations. A unit
is what may be called independent: a stream, a run of frames, a patient.

# N samples, U units, R replicates
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
REPLICATES = 2000
"""Monte Carlo error of a 95 % bound is then about 2 % of the interval's width."""
CHUNK = 1 << 21
"""Numbers drawn at once: 16 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the true value lies with the stated confidence."""

    low: float
    high: float
    confidence: float = CONFIDENCE
    units: int
    """Independent units that it rests on."""

    def excludes(self, value: float) -> bool:
        return value < self.low or value > self.high

    def __str__(self) -> str:
        return f"[{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """What is taken of the values: their mean, or a quantile of them."""

    quantile: float | None = None
    """In (0, 1): the smallest value below or at which that share of the samples lies; None is the mean."""

    def __post_init__(self) -> None:
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {self.quantile}; 0.95 is p95")

    def __str__(self) -> str:
        return "mean" if self.quantile is None else f"p{100 * self.quantile:g}"


MEAN = Statistic()
P95 = Statistic(quantile=0.95)


def wilson(successes: float, trials: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval for a share seen in independent trials (Wilson, JASA 1927); [0, 1] without a trial.

    Raises:
        ValueError: More successes than trials, or a negative count.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials cannot be")
    if trials == 0:
        return Interval(low=0.0, high=1.0, confidence=confidence, units=0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt((share * (1 - share) + z * z / (4 * trials)) / trials)
    scale = 1 + z * z / trials
    # At the ends the bound is exactly 0 or 1; rounding must not say otherwise.
    return Interval(
        low=0.0 if successes == 0 else (centre - spread) / scale,
        high=1.0 if successes == trials else (centre + spread) / scale,
        confidence=confidence,
        units=round(trials),
    )


def share(hits: ArrayLike, units: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a share over samples (`hits` are 0 or 1) that come in dependent units.

    Wilson's, over as many independent trials as the scatter between units says the samples are worth (Korn & Graubard,
    Survey Methodology 1998; widened by Student's t). Unlike a bootstrap it stays honest at 0 and 1, where every
    replicate is alike: there each unit counts as one trial.
    """
    hits_N = np.asarray(hits, np.float64)
    unit_N, count = number_units(units)
    if count < fewest_units(confidence):
        worth = float(count)
    else:
        size_U = np.bincount(unit_N, minlength=count)
        hits_U = np.bincount(unit_N, weights=hits_N, minlength=count)
        mean = float(hits_N.mean())
        variance = count / (count - 1) * float(np.sum((hits_U - mean * size_U) ** 2)) / len(hits_N) ** 2
        z, t = NormalDist().inv_cdf((1 + confidence) / 2), student_quantile((1 + confidence) / 2, count - 1)
        if mean in (0.0, 1.0):
            worth = float(count)
        else:
            worth = min(mean * (1 - mean) / variance * (z / t) ** 2 if variance > 0 else math.inf, len(hits_N))
    found = wilson(evaluate(hits_N, MEAN) * worth if count else 0.0, worth, confidence=confidence)
    return replace(found, units=count)


def bootstrap(
    values: ArrayLike,
    units: ArrayLike,
    *,
    statistic: Statistic = MEAN,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """The interval of a mean or quantile over samples, found by drawing whole units with replacement.

    A percentile interval, widened for few units by Student's t and n / (n - 1) (Hesterberg, American Statistician 2015,
    section 5.4). With so few units that all of them could lie on one side by chance (`fewest_units`), nothing is known:
    the interval is infinite.

    Raises:
        ValueError: A value that is not finite, or arrays of unequal length.
    """
    values_N = np.asarray(values, np.float64)
    unit_N, count = number_units(units)
    if values_N.shape != unit_N.shape:
        raise ValueError(f"{values_N.shape} values need as many units, not {unit_N.shape}")
    if not np.all(np.isfinite(values_N)):
        raise ValueError("every value must be finite: leave out the samples that have none, or give them one")
    if count < fewest_units(confidence):
        return Interval(low=-math.inf, high=math.inf, confidence=confidence, units=count)
    seen_R = replicate(values_N, unit_N, count, statistic, replicates, seed)
    tail = widened_tail(count, confidence)
    low, high = np.quantile(seen_R, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), confidence=confidence, units=count)


def evaluate(values: ArrayLike, statistic: Statistic) -> float:
    """The statistic itself, of all samples; NaN without one."""
    values_N = np.asarray(values, np.float64)
    if len(values_N) == 0:
        return math.nan
    if statistic.quantile is None:
        return float(values_N.mean())
    return float(np.quantile(values_N, statistic.quantile, method="inverted_cdf"))


def number_units(units: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """[N] units numbered from 0, and how many there are."""
    names, unit_N = np.unique(np.asarray(units), return_inverse=True)
    return unit_N.reshape(-1), len(names)


def fewest_units(confidence: float) -> int:
    """So many that all of them fall on one side of the truth, by chance, more seldom than the interval may err."""
    return 1 + math.ceil(-math.log2(1 - confidence) - 1e-9)


def widened_tail(units: int, confidence: float) -> float:
    """The share cut off on each side so that a percentile interval over few units covers as often as it says."""
    t = student_quantile((1 + confidence) / 2, units - 1)
    return NormalDist().cdf(-t * math.sqrt(units / (units - 1)))


def student_quantile(share: float, freedom: int) -> float:
    """A quantile of Student's t, by its Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5).

    Within 0.03 % for every confidence and the units that `fewest_units` lets through with it.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def replicate(
    values_N: Floats, unit_N: NDArray[np.intp], count: int, statistic: Statistic, replicates: int, seed: int
) -> Floats:
    """[R] the statistic of as many samples of units, drawn with replacement; the same seed draws the same units."""
    if statistic.quantile is None:
        sum_U = np.bincount(unit_N, weights=values_N, minlength=count)
        size_U = np.bincount(unit_N, minlength=count).astype(np.float64)
        parts = [sum_U[draw].sum(axis=1) / size_U[draw].sum(axis=1) for draw in _draws(count, replicates, seed)]
        return np.concatenate(parts)
    order = np.argsort(values_N, kind="stable")
    sorted_N, unit_N = values_N[order], unit_N[order]
    seen = []
    for draw in _draws(count, replicates, seed):
        for drawn_U in draw:
            weight_N = np.cumsum(np.bincount(drawn_U, minlength=count)[unit_N])
            # Whole numbers: a share of them is reached exactly or not at all.
            seen.append(sorted_N[np.searchsorted(weight_N, statistic.quantile * weight_N[-1] - 1e-9)])
    return np.array(seen)


def _draws(count: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Chunks [r, U] of units drawn with replacement."""
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // count)
    for first in range(0, replicates, rows):
        yield random.integers(count, size=(min(rows, replicates - first), count))
