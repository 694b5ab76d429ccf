"""What a choice may look at: the link, the arrivals, and how far both hosts are from what was profiled."""

from dataclasses import dataclass
from typing import Any

from offramp.errors import SettingsError
from offramp.measure.link import LinkEstimate
from offramp.units import BitsPerSecond, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One device at one moment. Only the link and the arrivals have to be known; the rest is as profiled."""

    bandwidth: BitsPerSecond
    """Of the uplink; 0 in an outage."""
    bandwidth_low: BitsPerSecond | None = None
    """One standard deviation of the seconds per bit on the slow side; None: it is known exactly."""
    bandwidth_high: BitsPerSecond | None = None
    """The same on the fast side."""
    round_trip: Seconds
    """Of an empty request, without the time spent at the edge."""
    round_trip_deviation: Seconds = Seconds(0.0)
    rate: float
    """Samples per second that arrive at the device."""
    regular: bool = True
    """Whether they come in step, as a camera's do; else at random (Poisson)."""
    edge_wait: Seconds = Seconds(0.0)
    """What a request waits at the edge before it is worked on, lately."""
    edge_slow: float = 1.0
    """Measured over profiled time of the edge's work."""
    device_slow: float = 1.0
    """The same on the device."""
    price: float = 0.0
    """Extra seconds that one second of the edge is charged with: an overloaded edge raises it."""
    caution: int = 0
    """Steps up their policy's path (`rules.PATHS`) that exit rules must stand at least; raised when branches drift."""

    def __post_init__(self) -> None:
        for name in ("bandwidth", "round_trip", "round_trip_deviation", "rate", "edge_wait", "price", "caution"):
            if not getattr(self, name) >= 0:
                raise SettingsError(f"a situation's {name} is 0 or more, not {getattr(self, name)}")
        for name in ("edge_slow", "device_slow"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"a situation's {name} is a positive factor, not {getattr(self, name)}")
        if not self.slowest <= self.bandwidth <= self.fastest:
            raise SettingsError(
                f"a bandwidth of {self.bandwidth:g} bit/s lies outside its own range, {self.slowest:g} to "
                f"{self.fastest:g}; the low bound may not be above it, nor the high one below"
            )

    @property
    def slowest(self) -> float:
        """`bandwidth_low`, or the bandwidth itself where nothing is uncertain."""
        return self.bandwidth if self.bandwidth_low is None else self.bandwidth_low

    @property
    def fastest(self) -> float:
        return self.bandwidth if self.bandwidth_high is None else self.bandwidth_high

    @classmethod
    def from_link(cls, link: LinkEstimate, rate: float, **known: Any) -> "Situation":
        """What a device believes about its link, with whatever else is `known`.

        An estimate's low bound is also below what silence allows: a rate at which the bytes under way would be
        answered by now is believed no longer, and so not expected either.
        """
        seconds_per_bit = 1 / link.bandwidth
        deviation = seconds_per_bit - 1 / link.bandwidth_high
        silent = max(seconds_per_bit, 1 / link.bandwidth_low - deviation)
        bandwidth = min(link.bandwidth, max(1 / silent, link.bandwidth_low))
        return cls(
            bandwidth=BitsPerSecond(bandwidth),
            bandwidth_low=link.bandwidth_low,
            bandwidth_high=link.bandwidth_high,
            round_trip=link.round_trip,
            round_trip_deviation=link.round_trip_deviation,
            rate=rate,
            **known,
        )
