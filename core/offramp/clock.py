"""Where durations come from: never from `time.time()`, always from a `Clock` that was passed in."""

import time
from typing import Protocol

from offramp.units import Seconds


class Clock(Protocol):
    """A monotonic clock whose zero means nothing; only differences do."""

    def now(self) -> Seconds: ...

    def sleep(self, duration: Seconds) -> None:
        """Return once `duration` has passed; at once when it is not positive."""
        ...


class SystemClock:
    """The machine's monotonic clock, to the nanosecond."""

    def now(self) -> Seconds:
        return Seconds(time.perf_counter())

    def sleep(self, duration: Seconds) -> None:
        if duration > 0:
            time.sleep(duration)


class ManualClock:
    """A clock that moves only when told to: for tests and for replay."""

    def __init__(self, start: Seconds = Seconds(0.0)) -> None:
        self._now = start

    def now(self) -> Seconds:
        return self._now

    def sleep(self, duration: Seconds) -> None:
        self.advance(max(duration, Seconds(0.0)))

    def advance(self, duration: Seconds) -> None:
        """Move forward by `duration` seconds.

        Raises:
            ValueError: The duration is negative; a monotonic clock never goes back.
        """
        if duration < 0:
            raise ValueError(f"a clock cannot go back by {-duration} s")
        self._now = Seconds(self._now + duration)
