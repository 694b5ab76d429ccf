"""The simulated link: first in, first out, at the rate of a trace; then its delay.

carry(bytes) ─► waits for those before it ─► bits over the trace's rate ─► one-way delay ─► arrived
"""

import math
from collections.abc import Callable

from offramp.units import Seconds
from offramp_evaluation.replay.hub import Hub
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

NO_TIME = Seconds(0.0)


class OneWay:
    """One direction of a link; several devices may share it."""

    def __init__(self, hub: Hub, trace: Trace, *, extra: Seconds = NO_TIME) -> None:
        """`extra` delay comes on top of the trace's."""
        self._hub = hub
        self._extra = extra
        self._integral = Integral(trace)
        self._trace = trace
        self._constant_delay = float(trace.delay_T[0]) if len(set(trace.delay_T.tolist())) == 1 else None
        self._free = 0.0
        self._stuck: float | None = None
        """When the bytes that will never be through had their turn."""
        self.nbytes = 0.0
        """Carried, or given up on the way."""
        self.on_air = 0.0
        """Seconds in which the link had bytes to carry."""

    def carry(self, nbytes: float, arrived: Callable[[], None]) -> None:
        """Call `arrived` when the last byte is there; never, when the trace ends in an outage."""
        start = max(self._hub.now(), self._free)
        through = self._integral.finish_one(start, nbytes)
        self._free = through
        self.nbytes += nbytes
        if math.isfinite(through):
            self.on_air += through - start
            self._hub.at(through + self._delay(through) + self._extra, arrived)
        elif self._stuck is None:
            self._stuck = start

    def forget(self) -> None:
        """What was on its way belonged to a connection that is gone: the link is free from now on."""
        now = self._hub.now()
        if self._stuck is not None:
            self.on_air += now - self._stuck  # below 0 when what is before the stuck bytes is not through either
            self._stuck = None
        elif self._free > now:
            self.on_air -= self._free - now
        self._free = now

    def _delay(self, time: float) -> Seconds:
        if self._constant_delay is not None:
            return Seconds(self._constant_delay)
        return Seconds(float(self._trace.delay_at(time)))
