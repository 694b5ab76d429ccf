"""What a device reports about once a second, and how it comes to know: Results pass through, everything else is asked.

Results ── note ──► counts, sums ─┐
arrivals, speeds, trust ──────────┼─ report ──► DeviceReport
device, edges ────────────────────┘
"""

import threading
from collections import Counter
from collections.abc import Callable

from offramp.measure.speeds import Speeds
from offramp.records import Answered, Result
from offramp.telemetry import DeviceReport
from offramp.units import Bytes, Seconds
from offramp_device.arrivals import Arrivals
from offramp_device.device import Device
from offramp_device.edges import Edges
from offramp_device.shadows import Shadows
from offramp_device.trust import Trust


class Telemetry:
    """Of one device. `note` and `arrived` from any thread; `report` from one at a time."""

    def __init__(
        self,
        device: Device,
        edges: Edges,
        trust: Trust,
        shadows: Shadows,
        *,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        """`waiting` tells how many samples wait for their first stage."""
        self.speeds = Speeds()
        self._device, self._edges, self._trust, self._shadows = device, edges, trust, shadows
        self._waiting = waiting
        self._lock = threading.Lock()
        self._arrivals = Arrivals()
        self._answered: Counter[Answered] = Counter()
        self._latency, self._wire_bytes = 0.0, 0
        self._ping_bytes = 0
        """Of all pings that reports have told of."""
        self._reported: dict[str, float] = {}
        """Paces as whoever hears the reports knows them."""

    def arrived(self, arrival: Seconds) -> None:
        """A sample that waits for nobody was due at this time."""
        with self._lock:
            self._arrivals.note(arrival)

    def note(self, result: Result) -> None:
        """A sample has its Result."""
        with self._lock:
            self._answered[result.answered] += 1
            self._wire_bytes += result.wire_bytes
            if result.label is not None:
                self._latency += result.latency

    @property
    def regular(self) -> bool:
        """Whether samples arrive in step."""
        return self._arrivals.regular

    @property
    def rate(self) -> float:
        """Samples that arrive a second."""
        return self._arrivals.rate(self._device.clock.now())

    def report(self, *, trouble: str = "", afresh: bool = False) -> DeviceReport:
        """What has happened since the report before.

        Args:
            trouble: Why the last order was not followed.
            afresh: It is for somebody who has heard none.
        """
        with self._lock:
            answered, self._answered = self._answered, Counter()
            latency, self._latency = self._latency, 0.0
            wire_bytes, self._wire_bytes = self._wire_bytes, 0
        if afresh:
            self._reported = {}
        paces = self.speeds.changes(self._reported)
        self._reported |= paces
        ping_bytes, self._ping_bytes = self._edges.ping_bytes - self._ping_bytes, self._edges.ping_bytes
        plan = self._device.plan
        count = sum(answered.values()) - answered[Answered.REJECTED]
        return DeviceReport(
            link=self._edges.estimate(),
            rate=self.rate,
            plan=str(plan),
            revision=plan.revision,
            edge=self._edges.connected,
            queue=self._waiting(),
            answered=answered,
            latency=Seconds(latency / count if count else 0.0),
            wire_bytes=Bytes(wire_bytes + self._shadows.take_wire_bytes() + ping_bytes),
            paces=paces,
            drift=self._trust.report(),
            trouble=trouble,
        )
