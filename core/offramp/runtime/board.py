"""An emulated board: the real runtime, slowed down by a stated factor.

What comes out is what the segments really computed; only its timing is emulated, and whoever prints such a timing
says so.
"""

from offramp.clock import Clock
from offramp.errors import SettingsError
from offramp.records import Feature
from offramp.runtime.runtime import Runtime, Segment, SegmentOutputs
from offramp.units import Seconds


class SlowedRuntime:
    """Every segment takes `factor` times as long: after one that took t, it sleeps (factor - 1) · t.

    Opening and warming are not slowed.
    """

    def __init__(self, inner: Runtime, factor: float, clock: Clock) -> None:
        # `not >=` refuses nan as well.
        if not 1.0 <= factor < float("inf"):
            raise SettingsError(f"a board {factor:g} times slower cannot be emulated; give a factor of 1 or more")
        self._inner = inner
        self._factor = factor
        self._clock = clock

    def open(self, start: int, stop: int, *, branch: bool) -> "SlowedSegment":
        return SlowedSegment(self._inner.open(start, stop, branch=branch), self._factor, self._clock)

    def close(self) -> None:
        self._inner.close()


class SlowedSegment:
    """A segment of an emulated board."""

    def __init__(self, inner: Segment, factor: float, clock: Clock) -> None:
        self.spec = inner.spec
        self._inner = inner
        self._factor = factor
        self._clock = clock

    def run(self, feature: Feature) -> SegmentOutputs:
        before = self._clock.now()
        outputs = self._inner.run(feature)
        self._clock.sleep(Seconds((self._factor - 1.0) * (self._clock.now() - before)))
        return outputs
