"""The hysteresis band: as long as a device's reports stay in it, there is nothing to decide.

decide ─► Band around what the decision looked at ─► report … report … report ─► outside: decide again
                                                       └ a look-up each: a few comparisons on the message itself

A strategy is asked again only when its answer could differ; ten thousand devices that report once a second are ten
thousand look-ups a second, not ten thousand plans.
"""

from dataclasses import dataclass

from offramp.telemetry import DeviceReport
from offramp.wire.v1 import control_pb2 as pb

BANDWIDTH = 0.15
"""Relative width to either side. A step of a link is a factor of 3 and more; an estimate's noise is below 10 %."""
BOUND = 0.35
"""Of the estimate's lower bound, which noise moves more; silence in an outage takes it through any band."""
ROUND_TRIP, ROUND_TRIP_LEAST = 0.25, 0.002
"""Relative, and in seconds: 2 ms change no plan on links whose round trip is counted in tens of them."""
RATE, RATE_LEAST = 0.15, 0.5
"""Relative, and in samples a second."""


@dataclass(frozen=True, slots=True)
class Band:
    """Ranges of what a decision looked at, and what of it has to stay exactly as it was."""

    bandwidth_least: float
    bandwidth_most: float
    bound_least: float
    bound_most: float
    round_trip_least: float
    round_trip_most: float
    rate_least: float
    rate_most: float
    caution: int
    changes: int

    @classmethod
    def around(cls, report: DeviceReport) -> "Band":
        """As a decision took it."""
        link, rate = report.link, report.rate
        spare_rate = max(RATE * rate, RATE_LEAST)
        trip = link.round_trip if link else 0.0
        spare_trip = max(ROUND_TRIP * trip, ROUND_TRIP_LEAST)
        bandwidth, bound = (link.bandwidth, link.bandwidth_low) if link else (0.0, 0.0)
        return cls(
            bandwidth_least=bandwidth * (1 - BANDWIDTH),
            bandwidth_most=bandwidth * (1 + BANDWIDTH),
            bound_least=bound * (1 - BOUND),
            bound_most=bound * (1 + BOUND),
            round_trip_least=trip - spare_trip,
            round_trip_most=trip + spare_trip,
            rate_least=rate - spare_rate,
            rate_most=rate + spare_rate,
            caution=report.drift.caution if report.drift else 0,
            changes=link.changes if link else 0,
        )

    def holds(self, report: pb.DeviceReport) -> bool:
        """Whether nothing that a decision looked at has moved far enough to decide again."""
        link = report.link  # all zeros when it is unset, which is a range of its own
        return (
            self.bandwidth_least <= link.bandwidth <= self.bandwidth_most
            and self.bound_least <= link.bandwidth_low <= self.bound_most
            and self.round_trip_least <= link.round_trip <= self.round_trip_most
            and self.rate_least <= report.rate <= self.rate_most
            and link.changes == self.changes
            and (report.drift.caution == self.caution if report.HasField("drift") else not self.caution)
        )
