"""Risk control: how lenient may exits be, so that what they cost in accuracy stays below a limit?

    losses of a calibration split, from the strictest step of a path to the most lenient ─► the last step that holds

`in expectation` (conformal risk control) promises that the mean loss over all draws of the calibration split is at
most the limit; `with confidence` (an upper bound, or learn-then-test) that for this very draw it is, but for a chance
of delta. The three are Jazbec et al., "Fast yet Safe: Early-Exiting with Risk Control", NeurIPS 2024, with Angelopoulos
et al. (ICLR 2024) for the first, Bates et al. (JACM 2021) for the second and Angelopoulos et al. (2021) for the third.

All of them count independent units. Frames of one scene, or beats of one patient, are no such units: give the mean loss
of each scene or patient (`by_unit`), of which there are fewer. On a stream that drifts nothing is promised.

# N samples, M independent units, T steps of a path, from strict to lenient
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from offramp.errors import SettingsError
from offramp.exits.bounds import Floats, betting_upper, binomial_tail, hoeffding_bentkus


class Method(StrEnum):
    CRC = "crc"
    """Conformal risk control: in expectation. Losses should not fall as exits become more lenient."""
    WSR = "wsr"
    """An upper confidence bound by betting, at every step until the first that fails."""
    LTT = "ltt"
    """Learn then test: p-values in fixed order, from strict to lenient, until the first that does not reject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimit:
    """What is promised."""

    epsilon: float
    """Most mean loss."""
    delta: float = 0.05
    """Chance that it is more after all; no meaning for CRC, which promises it on average."""
    method: Method = Method.LTT
    low: float = 0.0
    """Least and most that one unit can lose: 0 and 1 for a disagreement, -1 and 1 for a gap in accuracy."""
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SettingsError(f"losses from {self.low:g} to {self.high:g} leave no room; low must be below high")
        if not self.low < self.epsilon < self.high:
            raise SettingsError(
                f"a limit of {self.epsilon:g} is met by all losses, or by none: they lie between {self.low:g} and "
                f"{self.high:g}; give a limit between them"
            )
        if not 0.0 < self.delta < 1.0:
            raise SettingsError(f"a chance of {self.delta:g} is none; give delta in (0, 1), such as 0.05")

    @property
    def promise(self) -> str:
        """For people."""
        how = "in expectation" if self.method is Method.CRC else f"with {100 * (1 - self.delta):g} % confidence"
        return f"mean loss at most {self.epsilon:g}, {how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """What holds the promise."""

    step: int | None
    """The most lenient of the path; None when not even the strictest holds it."""
    risk_T: tuple[float, ...]
    """Mean loss on the calibration split at every step."""
    bound_T: tuple[float, ...]
    """What was compared: CRC's corrected risk or the upper bound, with epsilon; the p-value, with delta."""
    units: int


def control(losses_MT: Floats, limit: RiskLimit) -> Controlled:
    """The most lenient step at which the promise holds: steps are tried in order, up to the first at which it does not.

    Raises:
        ValueError: A loss outside of the limit's range, or no unit at all.
    """
    losses_MT = np.asarray(losses_MT, np.float64)
    if losses_MT.ndim != 2 or not losses_MT.size:
        raise ValueError(f"losses are units by steps, at least one of each; got an array of shape {losses_MT.shape}")
    if losses_MT.min() < limit.low or losses_MT.max() > limit.high:
        raise ValueError(
            f"losses from {losses_MT.min():g} to {losses_MT.max():g} leave the range {limit.low:g} to {limit.high:g}"
        )
    width = limit.high - limit.low
    scaled_MT, epsilon = (losses_MT - limit.low) / width, (limit.epsilon - limit.low) / width
    match limit.method:
        case Method.CRC:
            bound_T = corrected_risk(scaled_MT)
            holds_T = bound_T <= epsilon
        case Method.WSR:
            bound_T = betting_upper(scaled_MT, limit.delta, epsilon)
            holds_T = bound_T <= epsilon
        case Method.LTT:
            bound_T = p_values(scaled_MT, epsilon)
            holds_T = bound_T <= limit.delta
    if limit.method is not Method.LTT:
        bound_T = limit.low + width * bound_T
    passed = int(np.argmin(holds_T)) if not holds_T.all() else len(holds_T)
    return Controlled(
        step=passed - 1 if passed else None,
        risk_T=tuple(losses_MT.mean(axis=0).tolist()),
        bound_T=tuple(bound_T.tolist()),
        units=len(losses_MT),
    )


def least_units(limit: RiskLimit) -> int:
    """How many units it takes to promise this at all, if not one of them lost anything.

    Fewer than that cannot tell the limit from chance, whatever they say.
    """
    low, high = 0, 1
    while not _holds_if_nothing_is_lost(limit, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds_if_nothing_is_lost(limit, middle) else (middle, high)
    return high


def _holds_if_nothing_is_lost(limit: RiskLimit, units: int) -> bool:
    return control(np.zeros((units, 1)), limit).step is not None


def corrected_risk(losses_MT: Floats) -> Floats:
    """[T] the mean loss if one unit more had come, at its worst; as if it never fell as exits become more lenient."""
    count = len(losses_MT)
    risk_T: Floats = np.maximum.accumulate(losses_MT.mean(axis=0))
    return (count * risk_T + 1.0) / (count + 1)


def p_values(losses_MT: Floats, limit: float) -> Floats:
    """[T] of "the true mean is above `limit`": exact where all losses are 0 or 1, else Hoeffding and Bentkus's."""
    count, mean_T = len(losses_MT), losses_MT.mean(axis=0)
    if np.all((losses_MT == 0.0) | (losses_MT == 1.0)):
        wrong_T = losses_MT.sum(axis=0).round().astype(int).tolist()
        return np.array([binomial_tail(wrong, count, limit) for wrong in wrong_T])
    return hoeffding_bentkus(mean_T, count, limit)


def by_unit(losses_NT: Floats, group_N: NDArray[np.int64]) -> Floats:
    """[M, T] the mean loss of each independent unit, in the order in which the units first appear.

    A promise about these is one about an average unit: where units are of very different size, not about a sample.
    """
    _, first_M, unit_N = np.unique(group_N, return_index=True, return_inverse=True)
    sums_MT = np.zeros((len(first_M), losses_NT.shape[1]))
    np.add.at(sums_MT, unit_N, losses_NT)
    means_MT: Floats = sums_MT / np.bincount(unit_N)[:, None]
    return means_MT[np.argsort(first_M)]
