"""The controller: telemetry in, plans out. Plain values and `now`; no socket, no thread, no clock of its own.

device_joined, device_reported ─┐                          ┌─► orders, each for one device
edge_joined, edge_reported …    ├─► what is known ─► decide┤
tick                           ─┘                          └─► events, for whoever listens

Everything it knows came with a hello or a report, and comes again after a restart: nothing is kept on disk.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from offramp.errors import InputError, PlanError
from offramp.planning.objective import DEFAULT_OBJECTIVE, Objective, parse_objective
from offramp.planning.strategies.catalog import DEFAULT
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeHello, EdgeReport
from offramp.units import Seconds
from offramp.wire.control import device_report_from_proto
from offramp.wire.v1 import control_pb2 as pb
from offramp_orchestrator import news
from offramp_orchestrator.assignment import PAUSE, Ledger, least_loaded, shed, with_address
from offramp_orchestrator.charge import Charge, continued
from offramp_orchestrator.events import Tell, unheard
from offramp_orchestrator.fleet import NO_EDGE, Device, Edge, Paces
from offramp_orchestrator.library import Library

Orders = list[tuple[str, DeviceOrder]]
"""(Name of a device, what it is told)."""

SETTLING = Seconds(3.0)
"""After a start, a device whose edge has not come back yet keeps plan and edge for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How plans are chosen where a device does not say."""

    objective: Objective = DEFAULT_OBJECTIVE
    strategy: str = DEFAULT
    sources: tuple[str, ...] = ()
    """Who delivers bundles, beside the edges that serve them."""
    telemetry: bool = False
    """Whether every report is told as an event."""


class Controller:
    """Takes care of devices, and knows all edges. Not safe from several threads."""

    def __init__(
        self, library: Library, epoch: int, now: Seconds, policy: Policy | None = None, tell: Tell = unheard
    ) -> None:
        """`epoch` should be larger than any before it."""
        self.epoch = epoch
        self.policy = policy or Policy()
        self._library, self._tell = library, tell
        self._settled_at = Seconds(now + SETTLING)
        self._charges: dict[str, Charge] = {}
        self._edges: dict[str, Edge] = {}
        self._ledger = Ledger()
        self._pauses: dict[str, Seconds] = {}
        """Edges that shed devices, and until when nothing more is moved."""

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(charge.device for charge in self._charges.values())

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(self._edges.values())

    def device_joined(self, hello: DeviceHello, now: Seconds) -> Orders:
        """A hello; a device says it again when what it runs, or its profile, has changed.

        Raises:
            UnknownBundleError: It wants a bundle that is not planned for here.
            WireError: What it sent as its profile is none.
            InputError: What it sent as its objective is none, or asks what nobody knows.
        """
        shelf = self._library.find(hello.bundle)
        objective = parse_objective(hello.objective) if hello.objective else self.policy.objective
        device = Device(
            name=hello.name,
            shelf=shelf,
            host=self._library.host(hello.profile, shelf.digest),
            objective=self._library.accept(objective),
            own_edge=hello.edge,
            paces=Paces().with_news(hello.report.paces),
            report=hello.report,
        )
        before = self._forget(hello.name)
        last = hello.report.revision if before is None else max(hello.report.revision, before.last)
        charge = self._charges[hello.name] = Charge(device, continued(last, self.epoch), now)
        self._tell(news.device_joined(device))
        if not device.own_edge:
            self._place(charge, now)
        return self._order([charge], now)

    def device_reported(self, name: str, message: pb.DeviceReport, now: Seconds) -> Orders:
        """
        Raises:
            WireError: A field is no number of its kind, or too long.
        """
        charge = self._charges.get(name)
        if charge is None:
            return []
        settled = charge.is_settled(message, now)
        quiet = settled and charge.is_old(message)
        if quiet and not self.policy.telemetry:
            return []
        report = device_report_from_proto(message)
        if self.policy.telemetry:
            self._tell(news.telemetry(charge, report, charge.expects(report, self._edge_of(charge))))
        return [] if quiet else self._hear(charge, report, settled, now)

    def device_left(self, name: str, why: str = "") -> None:
        charge = self._forget(name)
        if charge is not None:
            self._tell(news.device_left(charge.device, why))

    def edge_joined(self, hello: EdgeHello, now: Seconds) -> Orders:
        """A hello; an edge says it again when what it serves has changed.

        Raises:
            WireError: What it sent as a profile is none.
        """
        hosts = {
            one.model_digest: self._library.host(one.profile, one.model_digest, edge=True) for one in hello.bundles
        }
        edge = Edge(
            name=hello.name,
            address=hello.address,
            hosts=hosts,
            paces={digest: Paces().with_news(paces) for digest, paces in hello.report.paces.items()},
            report=hello.report,
        )
        self._edges[edge.name] = edge
        self._tell(news.edge_joined(edge, sum(map(self._library.holds, hosts))))
        concerned = [charge for charge in self._charges.values() if self._welcome(charge, edge)]
        return self._order(concerned, now)

    def edge_reported(self, name: str, report: EdgeReport, now: Seconds) -> Orders:
        before = self._edges.get(name)
        if before is None:
            return []
        edge = self._edges[name] = before.reporting(report)
        if report.stopping:
            return self._abandon(edge, "it is stopping", now)
        if edge.taken is not before.taken:
            for charge in self._charges.values():
                if self._edge_of(charge) is edge:
                    charge.reconsider()
        return []

    def edge_left(self, name: str, now: Seconds, why: str = "") -> Orders:
        edge = self._edges.pop(name, None)
        if edge is None:
            return []
        self._tell(news.edge_left(edge, why))
        return self._abandon(edge, "its edge is lost", now)

    def tick(self, now: Seconds) -> Orders:
        """About once a second: says again what was not acknowledged, and moves devices off crowded edges."""
        orders = [
            (name, order) for name, charge in self._charges.items() if (order := charge.say_again(now)) is not None
        ]
        if now >= self._settled_at:
            orders += self._settle(now)
        for edge in self.edges:
            if edge.overloaded and now >= self._pauses.get(edge.name, now):
                orders += self._relieve(edge, now)
        return orders

    def _welcome(self, charge: Charge, edge: Edge) -> bool:
        """An edge has come, or come back: whether that concerns a device, which it may then be assigned to."""
        if charge.device.own_edge:
            return charge.device.own_edge == edge.address
        concerned = charge.awaits == edge.address if charge.awaits else charge.edge in (edge.name, NO_EDGE)
        if concerned:
            stays = edge.serves(charge.device.shelf.digest) and bool(charge.edge or charge.awaits)
            self._assign(charge, edge if stays else self._least_loaded(charge))
        return concerned

    def _hear(self, charge: Charge, report: DeviceReport, settled: bool, now: Seconds) -> Orders:
        before = charge.device
        paces = before.paces.with_news(report.paces) if report.paces else before.paces
        charge.device = device = replace(before, report=report, paces=paces)
        if charge.acknowledge(report):
            assert charge.ordered is not None, "what is acknowledged was ordered"
            self._tell(news.acknowledged(device, charge.ordered))
        complained = bool(report.trouble) and charge.complain(report.trouble, self._library, now)
        if complained:
            self._tell(news.trouble(device, charge.ordered, report.trouble))
        if report.drift and report.drift.event:
            self._tell(news.drift(device))
        if settled and not complained and paces.applied is before.paces.applied:
            return []
        return self._order([charge], now)

    def _order(self, charges: Iterable[Charge], now: Seconds) -> Orders:
        orders: Orders = []
        for charge in charges:
            if charge.awaits:
                continue
            device = charge.device
            self._library.stand_at(now)
            decision = None
            try:
                decision = charge.decide(self._edge_of(charge), self._library, self.policy.strategy, now)
            except (PlanError, InputError) as error:
                self._tell(news.undecided(device, str(error)))
            order = charge.settle(decision, self._sources(charge), now)
            self._ledger.put(device.name, charge.edge, charge.load)
            if order is not None:
                orders.append((device.name, order))
                self._tell(news.ordered(device, order))
        return orders

    def _place(self, charge: Charge, now: Seconds) -> None:
        """Where it was, if it can stay there; else where there is most room."""
        report, digest = charge.device.report, charge.device.shelf.digest
        there = with_address(self._edges.values(), report.edge)
        if there is not None and there.serves(digest):
            self._assign(charge, there)
        elif there is None and report.edge and report.plan and now < self._settled_at:
            charge.awaits = report.edge
        else:
            self._assign(charge, self._least_loaded(charge))

    def _settle(self, now: Seconds) -> Orders:
        """What has not come back by now is lost."""
        waiting = [charge for charge in self._charges.values() if charge.awaits]
        for charge in waiting:
            self._assign(charge, self._least_loaded(charge))
        return self._order(waiting, now)

    def _abandon(self, edge: Edge, why: str, now: Seconds) -> Orders:
        left = [charge for charge in self._charges.values() if charge.edge == edge.name]
        for charge in left:
            self._move(charge, self._least_loaded(charge), why)
        return self._order(left, now)

    def _relieve(self, edge: Edge, now: Seconds) -> Orders:
        own = [charge for charge in self._charges.values() if charge.edge == edge.name]
        leaving = shed(
            edge, self.edges, self._ledger, [(one.device.name, one.device.shelf.digest, one.load) for one in own]
        )
        charges = [self._charges[name] for name in leaving]
        for charge in charges:
            self._move(charge, self._least_loaded(charge), f"{edge.name} is overloaded")
        if charges:
            self._pauses[edge.name] = Seconds(now + PAUSE)
        return self._order(charges, now)

    def _forget(self, name: str) -> Charge | None:
        self._ledger.remove(name)
        return self._charges.pop(name, None)

    def _move(self, charge: Charge, edge: Edge | None, why: str) -> None:
        before = charge.edge
        self._assign(charge, edge)
        self._tell(news.moved(charge.device, before, charge.edge, why))

    def _assign(self, charge: Charge, edge: Edge | None) -> None:
        charge.edge, charge.awaits = (edge.name if edge else NO_EDGE), ""
        self._ledger.put(charge.device.name, charge.edge, charge.load)

    def _least_loaded(self, charge: Charge) -> Edge | None:
        return least_loaded(self._edges.values(), self._ledger, charge.device.shelf.digest)

    def _edge_of(self, charge: Charge) -> Edge | None:
        own = charge.device.own_edge
        return with_address(self._edges.values(), own) if own else self._edges.get(charge.edge)

    def _sources(self, charge: Charge) -> tuple[str, ...]:
        digest = charge.device.shelf.digest
        return (*self.policy.sources, *(edge.address for edge in self._edges.values() if edge.serves(digest)))
