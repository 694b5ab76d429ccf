"""What is known of devices and edges: frozen values, replaced when something changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offramp.planning.objective import Objective
from offramp.planning.situation import Situation
from offramp.telemetry import DeviceReport, EdgeReport, LinkEstimate
from offramp.units import BitsPerSecond, Seconds
from offramp_orchestrator.library import Host, Shelf

MOVED = 0.15
"""Relative change of a pace that is worth new grounds: about what the best plan's margin over the next one is."""
PRICEY = 0.5
"""A price from which on an edge is overloaded: a second of its work is charged half as much again."""
CROWDED = Seconds(0.05)
"""A wait from which on it is: as long as the answer itself takes on a good link."""

LOAD_MOVED = 0.25
"""Relative change of an edge's price or wait after which the plans of its devices are thought over."""
PRICE_LEAST, WAIT_LEAST = 0.05, Seconds(0.002)
"""Smaller changes of either change no plan."""

NO_EDGE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """What a host measured while serving, and what of it plans are made with."""

    reported: Mapping[str, float] = field(default_factory=dict)
    applied: Mapping[str, float] = field(default_factory=dict)

    def with_news(self, news: Mapping[str, float]) -> "Paces":
        """All that was reported is applied as soon as any of it has moved far enough, and not before."""
        reported = {**self.reported, **news}
        moved = any(
            name not in self.applied or abs(seconds - self.applied[name]) > MOVED * self.applied[name]
            for name, seconds in news.items()
        )
        return Paces(reported=reported, applied=reported if moved else self.applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device, as its hello and its reports describe it."""

    name: str
    shelf: Shelf
    """The bundle that it runs, or is to run."""
    host: Host | None
    """None until it has measured that bundle."""
    objective: Objective
    own_edge: str
    """Address of the one that it brought along; empty: it takes the one that it is assigned."""
    paces: Paces = field(default_factory=Paces)
    report: DeviceReport = field(default_factory=DeviceReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One edge."""

    name: str
    address: str
    hosts: Mapping[str, Host | None]
    """By model digest of what it serves; None where it has not measured it."""
    paces: Mapping[str, Paces] = field(default_factory=dict)
    report: EdgeReport = field(default_factory=EdgeReport)
    taken: EdgeReport = field(default_factory=EdgeReport)
    """The one that the plans of its devices were last thought over with."""

    def reporting(self, report: EdgeReport) -> "Edge":
        """The same edge a second later; `taken` is another one when its devices have to be thought over."""
        paces = {**self.paces}
        for digest, news in report.paces.items():
            paces[digest] = paces.get(digest, Paces()).with_news(news)
        retimed = any(paces[digest].applied is not self.paces.get(digest, Paces()).applied for digest in report.paces)
        moved = _far(report.price, self.taken.price, PRICE_LEAST) or _far(report.wait, self.taken.wait, WAIT_LEAST)
        return replace(self, report=report, paces=paces, taken=report if moved or retimed else self.taken)

    @property
    def overloaded(self) -> bool:
        return self.report.price >= PRICEY or self.report.wait >= CROWDED

    @property
    def has_room(self) -> bool:
        """Well below, so that what is moved here does not come back."""
        report = self.report
        return not report.stopping and report.price < PRICEY / 2 and report.wait < CROWDED / 2

    def serves(self, digest: str) -> bool:
        return digest in self.hosts and not self.report.stopping


def situation_of(report: DeviceReport, edge: Edge | None, *, reachable: bool) -> Situation:
    """What a strategy looks at; without an edge, or before the link is known, there is no link."""
    caution = report.drift.caution if report.drift else 0
    if report.link is None or not reachable or report.link.bandwidth < 1.0:
        return Situation(bandwidth=BitsPerSecond(0.0), round_trip=Seconds(0.0), rate=report.rate, caution=caution)
    load = edge.report if edge else EdgeReport()
    return Situation.from_link(_sound(report.link), report.rate, caution=caution, edge_wait=load.wait, price=load.price)


def _far(now: float, then: float, least: float) -> bool:
    return abs(now - then) > max(LOAD_MOVED * then, least)


def _sound(link: LinkEstimate) -> LinkEstimate:
    """Bounds on either side of the mean, and none at 0: these numbers come from a peer."""
    return LinkEstimate(
        bandwidth=link.bandwidth,
        bandwidth_low=BitsPerSecond(max(min(link.bandwidth_low, link.bandwidth), 1.0)),
        bandwidth_high=BitsPerSecond(max(link.bandwidth_high, link.bandwidth)),
        round_trip=link.round_trip,
        round_trip_deviation=link.round_trip_deviation,
        edge=link.edge,
        age=link.age,
        changes=link.changes,
    )
