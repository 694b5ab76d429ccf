"""What one plan is expected to do: scalars, for people and telemetry."""

from dataclasses import dataclass, fields

from offramp.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where the mean latency goes, in seconds: each weighted by the share of samples that it concerns."""

    device_wait: float
    """For the device, behind earlier samples."""
    device: float
    """Stages and branches on the device."""
    encode: float
    uplink_wait: float
    """For the uplink, behind earlier payloads."""
    transmit: float
    round_trip: float
    edge_wait: float
    """At the edge, before it works on the request."""
    decode: float
    tail: float
    """The later stages, at the edge."""

    def named(self) -> dict[str, float]:
        """In the order in which a sample meets them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def total(self) -> float:
        return sum(self.named().values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one plan in one situation."""

    feasible: bool
    """False: a queue would grow without end, or what is sent would come back late as a rule. The numbers are then those
    of an average sample if nothing were ever in its way."""
    mean: Seconds
    p95: Seconds
    hits: float
    """Share of samples answered within the deadline."""
    energy: float | None
    """Joules on the device per sample, by the energy model; None without one."""
    wire_bytes: float
    """Per sample, framing included."""
    edge_seconds: float
    """Of the edge's work per sample."""
    accuracy: float
    accuracy_low: float
    loss_high: float
    """Upper confidence bound of the accuracy lost against the whole network."""
    parts: Parts
    """They add up to the mean."""
