"""A trace: what a link allows over time, constant in pieces.

    rate │▇▇▇▇▇▇▇▇      ▇▇▇▇▇▇▇▇▇▇▇▇     after the end: the last piece holds,
         │        ▅▅▅▅▅▅            ▃▃▃    or the trace starts again
         └─┬───────┬─────┬───────────┬──┬─► time
           time[0]=0     …               duration

# T pieces
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offramp.errors import DataError
from offramp.units import BitsPerSecond, Seconds

Floats = NDArray[np.float64]


class After(StrEnum):
    """What the link does once the trace is over."""

    HOLD = "hold"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Bandwidth, one-way delay and loss over time; piece i runs from `time_T[i]` to `time_T[i + 1]`.

    The arrays are copied and read-only. An outage is a piece of rate 0 (or of loss 1).

    Raises:
        DataError: Empty, unequal lengths, times that do not start at 0 and grow, or a value out of its range.
    """

    name: str
    time_T: Floats
    """Seconds at which each piece begins; the first is 0, and they grow strictly."""
    rate_T: Floats
    """Bits per second that the link carries, 0 or more."""
    delay_T: Floats
    """One-way delay in seconds, 0 or more."""
    loss_T: Floats
    """Share of the packets that are lost, in [0, 1]."""
    duration: Seconds
    """Where the last piece ends, past `time_T[-1]`."""
    after: After = After.HOLD

    def __post_init__(self) -> None:
        for field in ("time_T", "rate_T", "delay_T", "loss_T"):
            array = np.array(getattr(self, field), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        object.__setattr__(self, "duration", Seconds(float(self.duration)))
        self._check()

    @classmethod
    def of(
        cls,
        name: str,
        time: ArrayLike,
        rate: ArrayLike,
        *,
        duration: float,
        delay: ArrayLike = 0.0,
        loss: ArrayLike = 0.0,
        after: After = After.HOLD,
    ) -> Self:
        """A trace from anything array-like; one number for `rate`, `delay` or `loss` counts for every piece."""
        time_T = np.asarray(time, dtype=np.float64)
        spread: list[Any] = [np.broadcast_to(np.asarray(item, np.float64), time_T.shape) for item in (delay, loss)]
        rate_T = np.asarray(rate, np.float64)
        return cls(
            name=name,
            time_T=time_T,
            rate_T=np.broadcast_to(rate_T, time_T.shape) if rate_T.ndim == 0 else rate_T,
            delay_T=spread[0],
            loss_T=spread[1],
            duration=Seconds(duration),
            after=after,
        )

    def __len__(self) -> int:
        return len(self.time_T)

    @property
    def edges(self) -> Floats:
        """[T + 1] where the pieces begin, and the end."""
        return np.append(self.time_T, self.duration)

    @property
    def lengths(self) -> Floats:
        """[T] seconds that each piece lasts."""
        return np.diff(self.edges)

    @property
    def goodput(self) -> Floats:
        """[T] bits per second that arrive when what was lost is sent again: the most a reliable transport can get."""
        return self.rate_T * (1.0 - self.loss_T)

    @property
    def up(self) -> NDArray[np.bool_]:
        """[T] False in an outage, where nothing arrives."""
        return self.goodput > 0

    def piece_at(self, time: ArrayLike) -> NDArray[np.intp]:
        """The index of the piece at each time, the end handled as `after` says; times before 0 count as 0."""
        moment = np.maximum(np.asarray(time, dtype=np.float64), 0.0)
        if self.after is After.REPEAT:
            moment = np.mod(moment, self.duration)
        found: NDArray[np.intp] = np.searchsorted(self.time_T, moment, side="right") - 1
        return found

    def rate_at(self, time: ArrayLike) -> Floats:
        return self.rate_T[self.piece_at(time)]

    def delay_at(self, time: ArrayLike) -> Floats:
        return self.delay_T[self.piece_at(time)]

    def named(self, name: str) -> "Trace":
        return replace(self, name=name)

    def delayed(self, delay: Seconds) -> "Trace":
        """The same with one constant one-way delay: most recorded traces carry none."""
        return replace(self, delay_T=np.full(len(self), delay))

    def ending(self, after: After) -> "Trace":
        return replace(self, after=after)

    def _check(self) -> None:
        count = len(self.time_T)
        if self.time_T.ndim != 1 or count == 0:
            raise DataError(f"the trace {self.name!r} is empty; a trace has at least one piece")
        for field in ("rate_T", "delay_T", "loss_T"):
            values = getattr(self, field)
            if values.shape != (count,):
                raise DataError(f"the trace {self.name!r} has {count} times but {field} of shape {values.shape}")
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
            if len(bad):
                raise DataError(
                    f"the trace {self.name!r} has {field}[{bad[0]}] = {values[bad[0]]}; give finite values, 0 or more"
                )
        if self.loss_T.max() > 1:
            raise DataError(f"the trace {self.name!r} loses {self.loss_T.max()} of its packets; a share is at most 1")
        if self.time_T[0] != 0:
            raise DataError(f"the trace {self.name!r} starts at {self.time_T[0]} s; shift it so that it starts at 0")
        lengths = np.diff(np.append(self.time_T, self.duration))
        if not np.all(np.isfinite(lengths)) or lengths.min() <= 0:
            late = int(np.argmin(np.where(np.isfinite(lengths), lengths, -np.inf)))
            raise DataError(
                f"the trace {self.name!r} has a piece {late} that starts at {self.time_T[late]} s and lasts "
                f"{lengths[late]} s; times must grow, and the duration lies past the last of them"
            )


def piece(rate: float, duration: float, *, delay: float = 0.0, loss: float = 0.0) -> Trace:
    """One constant piece: what longer traces are concatenated from."""
    return Trace.of("piece", [0.0], [BitsPerSecond(rate)], duration=duration, delay=delay, loss=loss)
