"""A controller to play with: devices and edges that join, report and leave by hand, on a clock that stands still.

    0 ── stage 0, 10 ms ── 1 ── stage 1, 90 ms ── 2        the edge is ten times as fast
                           └ branch: 60 % leave at 0.9

On 20 Mbit/s and 20 ms the plan that exits and sends the rest is best; without a link, the one that exits and goes on.
"""

import json
from dataclasses import replace
from typing import Any

from offramp.bundle.jsonform import to_json
from offramp.clock import ManualClock
from offramp.measure.profile import Profile
from offramp.records import NO_REVISION, Revision
from offramp.telemetry import (
    DeviceHello,
    DeviceOrder,
    DeviceReport,
    DriftReport,
    EdgeBundle,
    EdgeHello,
    EdgeReport,
    LinkEstimate,
)
from offramp.units import BitsPerSecond, Seconds
from offramp.wire.control import device_report_to_proto
from offramp_orchestrator.controller import Controller, Orders, Policy
from offramp_orchestrator.events import Event
from offramp_orchestrator.library import Library, Shelf
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_profile, an_exit, some_candidates

DIGEST = "d" * 64
EPOCH = 1_000
SENDS = "split=1, exit=confidence:0.9@1, codec=affine8+zstd"
STRICT = "split=1, exit=confidence:0.99@1, codec=affine8+zstd"
STAYS = "split=2, exit=confidence:0.9@1, codec=none"
BOARD = a_profile((0.0, 0.010, 0.100))
SERVER = a_profile((0.0, 0.001, 0.010), branch=0.0001)

CANDIDATES = some_candidates(
    a_candidate(0, codec="jpeg:90", payload=900.0),
    a_candidate(1, exit=an_exit(1, 0.9), reach=(1.0,), offload=0.4, payload=2_000.0, agreement=0.97),
    a_candidate(1, exit=an_exit(1, 0.99), reach=(1.0,), offload=0.5, payload=2_000.0, agreement=0.99),
    a_candidate(2, exit=an_exit(1, 0.9), codec="none", reach=(1.0,), offload=0.4, payload=0.0, agreement=0.97),
    a_candidate(2, codec="none", payload=0.0),
)


def a_shelf() -> Shelf:
    return Shelf(a_manifest(2, branches=(1,)), CANDIDATES)


def raw(profile: Profile) -> bytes:
    return json.dumps(to_json(profile)).encode()


def a_link(mbit: float = 20.0, *, rtt: float = 0.02, changes: int = 0) -> LinkEstimate:
    return LinkEstimate(
        bandwidth=BitsPerSecond(mbit * 1e6),
        bandwidth_low=BitsPerSecond(mbit * 0.95e6),
        bandwidth_high=BitsPerSecond(mbit * 1.05e6),
        round_trip=Seconds(rtt),
        round_trip_deviation=Seconds(0.001),
        edge=Seconds(0.01),
        age=Seconds(0.1),
        changes=changes,
    )


def a_report(link: LinkEstimate | None = None, *, rate: float = 5.0, **more: Any) -> DeviceReport:
    return DeviceReport(link=link, rate=rate, **more)


def drifting(caution: int, event: str = "") -> DriftReport:
    return DriftReport(agreement=0.6, low=0.5, high=0.7, shadows=40, caution=caution, event=event)


class Fleet:
    """A controller, everything it said, and every device with what it follows."""

    def __init__(self, *, tell: bool = True, **policy: Any) -> None:
        self.clock = ManualClock(Seconds(100.0))
        self.events: list[Event] = []
        self.controller = self._start(EPOCH, policy)
        self.orders: dict[str, list[DeviceOrder]] = {}
        self.reports: dict[str, DeviceReport] = {}

    def device(self, name: str = "board", link: LinkEstimate | None = None, **hello: Any) -> DeviceOrder | None:
        """It joins; returns what it is told."""
        report = hello.pop("report", None) or a_report(link or a_link())
        self.reports[name] = report
        known = {"profile": raw(BOARD)} | hello
        return self._take(name, self.controller.device_joined(DeviceHello(name=name, report=report, **known), self.now))

    def report(self, name: str = "board", **changes: Any) -> DeviceOrder | None:
        """It reports what it reported before, but for the changes; returns what it is told."""
        self.reports[name] = report = replace(self.reports[name], **changes)
        message = device_report_to_proto(report).report
        orders = self.controller.device_reported(name, message, self.now)
        # What happens once is reported once.
        self.reports[name] = replace(report, paces={}, trouble="")
        return self._take(name, orders)

    def follow(self, name: str = "board") -> DeviceOrder | None:
        """Two seconds later it follows its last order, and says so."""
        self.clock.advance(Seconds(2.0))
        order = self.last(name)
        return self.report(name, plan=order.plan, revision=order.revision, edge=order.edge)

    def edge(self, name: str = "edge", address: str = "", **load: Any) -> Orders:
        bundles = (EdgeBundle(model_digest=DIGEST, name="a test network", profile=raw(SERVER)),)
        hello = EdgeHello(name=name, address=address or address_of(name), bundles=bundles, report=EdgeReport(**load))
        return self._keep(self.controller.edge_joined(hello, self.now))

    def load(self, name: str = "edge", **load: Any) -> Orders:
        return self._keep(self.controller.edge_reported(name, EdgeReport(**load), self.now))

    def lose(self, name: str = "edge") -> Orders:
        return self._keep(self.controller.edge_left(name, self.now))

    def pass_time(self, seconds: float) -> Orders:
        """And the tick at its end."""
        self.clock.advance(Seconds(seconds))
        return self._keep(self.controller.tick(self.now))

    def last(self, name: str = "board") -> DeviceOrder:
        return self.orders[name][-1]

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def now(self) -> Seconds:
        return self.clock.now()

    def restart(self, epoch: int = EPOCH + 1, **policy: Any) -> None:
        """The controller is gone, with all that it knew."""
        self.controller = self._start(epoch, policy)

    def _start(self, epoch: int, policy: dict[str, Any]) -> Controller:
        return Controller(Library([a_shelf()]), epoch, self.now, Policy(**policy), self.events.append)

    def _take(self, name: str, orders: Orders) -> DeviceOrder | None:
        assert {told for told, _ in orders} <= {name}
        self._keep(orders)
        return orders[-1][1] if orders else None

    def _keep(self, orders: Orders) -> Orders:
        for name, order in orders:
            self.orders.setdefault(name, []).append(order)
        return orders


def address_of(edge: str) -> str:
    return f"{edge}.example:50051"


def a_running_report(plan: str = SENDS, epoch: int = EPOCH - 1, edge: str = "edge", **more: Any) -> DeviceReport:
    """Of a device that was told what to do before this controller started."""
    revision = Revision(epoch, 7) if epoch else NO_REVISION
    return a_report(a_link(), plan=plan, revision=revision, edge=address_of(edge), **more)
