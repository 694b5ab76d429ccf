"""An emulated board: the real runtime, slowed down by a stated factor.

What comes out is what the segments really computed; only its timing is emulated, and whoever prints such a timing
says so.
"""

import time
from collections.abc import Callable

from offramp.clock import Clock
from offramp.errors import SettingsError
from offramp.records import Feature
from offramp.runtime.runtime import Runtime, Segment, SegmentOutputs
from offramp.units import Seconds

Effort = Callable[[], float]
"""Seconds that the thread which calls has computed so far; only differences of it mean something."""


def effort_of(threads: int) -> Effort | None:
    """What tells the work of a runtime of so many threads: with one, the thread that calls does all of it; else None.

    With several, the pool's other threads work too, and only the wall time of a call is known.
    """
    return time.thread_time if threads == 1 else None


class SlowedRuntime:
    """Every segment takes `factor` times as long: after one that worked for t seconds, the rest of factor · t is slept.

    With `effort`, t is what the thread really computed. Wall time, which stands in for it, holds this machine's stalls
    too: a processor that was given to somebody else for 5 ms would become a board that halts for 150.

    Opening and warming are not slowed.
    """

    def __init__(self, inner: Runtime, factor: float, clock: Clock, *, effort: Effort | None = None) -> None:
        # `not >=` refuses nan as well.
        if not 1.0 <= factor < float("inf"):
            raise SettingsError(f"a board {factor:g} times slower cannot be emulated; give a factor of 1 or more")
        self._inner = inner
        self._factor = factor
        self._clock = clock
        self._effort = effort or clock.now

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> "SlowedSegment":
        inner = self._inner.open(start, stop, branch=branch, via=via)
        return SlowedSegment(inner, self._factor, self._clock, self._effort)

    def close(self) -> None:
        self._inner.close()


class SlowedSegment:
    """A segment of an emulated board."""

    def __init__(self, inner: Segment, factor: float, clock: Clock, effort: Effort) -> None:
        self.spec = inner.spec
        self._inner = inner
        self._factor = factor
        self._clock = clock
        self._effort = effort

    def run(self, feature: Feature) -> SegmentOutputs:
        began, rested = self._clock.now(), self._effort()
        outputs = self._inner.run(feature)
        worked = self._effort() - rested
        self._clock.sleep(Seconds(began + self._factor * worked - self._clock.now()))
        return outputs
