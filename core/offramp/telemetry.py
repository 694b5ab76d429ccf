"""What devices and edges report, and what a device is ordered: the values that cross the control plane.

    device ── hello, report … ──► orchestrator ── order ──► device
    edge ──── hello, report … ──►      └ a plan, the edge to use, the bundle that it is meant for

State is soft at the orchestrator's end: a hello says all that it has to know, and is said again on every connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from offramp.records import NO_REVISION, Answered, Revision
from offramp.units import BitsPerSecond, Bytes, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEstimate:
    """What is believed about a link at one moment."""

    bandwidth: BitsPerSecond
    bandwidth_low: BitsPerSecond
    """One standard deviation below, and below what silence allows."""
    bandwidth_high: BitsPerSecond
    """One standard deviation above."""
    round_trip: Seconds
    """Of an empty request, without the time spent at the edge."""
    round_trip_deviation: Seconds
    edge: Seconds
    """Spent at the edge by one request, lately."""
    age: Seconds
    """Since anything was learned."""
    changes: int = 0
    """Steps that were recognised since the device started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Whether branches still agree with the whole network, as far as shadow samples tell."""

    agreement: float
    """Share of the samples that leave early whose label is that of the whole network."""
    low: float
    high: float
    shadows: int
    """Samples behind the estimate."""
    caution: int
    """Steps up the policies' paths that exit rules must stand at least; 0: what the candidates say."""
    event: str = ""
    """What was noticed since the report before, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """A device, about once a second; counts and means are those since the report before."""

    link: LinkEstimate | None = None
    """None before anything was learned."""
    rate: float = 0.0
    """Samples that arrive a second."""
    plan: str = ""
    """In force, as text; empty before there is one."""
    revision: Revision = NO_REVISION
    """Of the plan in force: what acknowledges an order."""
    edge: str = ""
    """Address of the edge that it is connected to; empty: none."""
    queue: int = 0
    """Samples that wait for the first stage."""
    answered: Mapping[Answered, int] = field(default_factory=dict)
    latency: Seconds = Seconds(0.0)
    """Mean of the samples that were answered; 0 when none was."""
    wire_bytes: Bytes = Bytes(0)
    paces: Mapping[str, float] = field(default_factory=dict)
    """Seconds of segments and codecs that changed: `0-3+branch`, `encode 3:affine8+zstd`."""
    drift: DriftReport | None = None
    trouble: str = ""
    """Why the last order was not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHello:
    """A device that connects."""

    name: str
    """Unique among the devices of an orchestrator."""
    bundle: str = ""
    """Name or model digest of what it runs or wants; empty: whatever it is told."""
    digests: tuple[str, ...] = ()
    """Model digests that it holds."""
    profile: bytes = b""
    """Of the board with the bundle that it runs, as JSON; empty: not measured yet."""
    objective: str = ""
    """Such as `minimise=latency, drop=1%`; empty: the orchestrator's."""
    edge: str = ""
    """It uses this one and no other; empty: the orchestrator assigns one."""
    report: DeviceReport = field(default_factory=DeviceReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOrder:
    """All that an orchestrator can say to a device."""

    plan: str
    revision: Revision
    model_digest: str
    """Of the bundle that the plan is meant for."""
    bundle: str
    """Its name."""
    edge: str
    """Address of the edge to use; empty: none."""
    sources: tuple[str, ...] = ()
    """Addresses that deliver the bundle."""
    predicted: Seconds = Seconds(0.0)
    """Mean latency; 0: not predicted."""
    predicted_p95: Seconds = Seconds(0.0)
    agreement: float = 0.0
    """Share of the samples leaving early that agree with the whole network, on the calibration split; 0: no exits."""
    why: str = ""
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeReport:
    """An edge, about once a second; means and shares are those since the report before."""

    wait: Seconds = Seconds(0.0)
    """Mean time that a request waited for the model."""
    busy: float = 0.0
    """Share of the time that the model worked."""
    rate: float = 0.0
    """Requests a second."""
    queue: int = 0
    """Requests that wait now."""
    price: float = 0.0
    """Seconds charged for each second of work: how much it wants to be spared."""
    paces: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By model digest: seconds of tails and codecs that changed: `3-8`, `decode 3:affine8+zstd`."""
    stopping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBundle:
    """A bundle that an edge serves."""

    model_digest: str
    name: str
    profile: bytes = b""
    """Of the edge with it, as JSON; empty: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHello:
    """An edge that connects."""

    name: str
    address: str
    """Where devices find it."""
    bundles: tuple[EdgeBundle, ...]
    report: EdgeReport = field(default_factory=EdgeReport)
