"""One device in a controller's care: what it was told, whether it followed, and when that has to be thought over.

report ─► in its band? ── yes ─► nothing
              └ no ─► decide ─► other plan, edge or bundle? ── yes ─► order ─► acknowledged, or said again
"""

from dataclasses import dataclass

from offramp.bundle.manifest import Manifest
from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.forecast import Forecast
from offramp.planning.resolve import default_plan, resolve
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.records import Revision
from offramp.telemetry import DeviceOrder, DeviceReport
from offramp.units import Seconds
from offramp.wire.v1 import control_pb2 as pb
from offramp_orchestrator.band import Band
from offramp_orchestrator.fleet import NO_EDGE, Device, Edge, situation_of
from offramp_orchestrator.library import Host, Library

RESEND = Seconds(3.0)
"""An order that no report has acknowledged by then is said again."""
BARRED = Seconds(60.0)
"""A plan that a device could not follow is not ordered again before that: whatever was in its way may be gone."""
FIRST_REVIEW, LAST_REVIEW, LONGER = Seconds(1.0), Seconds(64.0), 8.0
"""A strategy may have kept a plan for its dwell: it is asked again though nothing moved, each time so much later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one device should do."""

    choice: Choice
    edge: str
    """Address; empty: none."""
    agreement: float
    """That the plan's exits promise; 0: it has none."""

    @property
    def load(self) -> float:
        """Seconds of the edge for each sample that arrives."""
        return self.choice.forecast.edge_seconds if self.choice.forecast else 0.0


class Charge:
    """Not frozen: this is where a controller's state lives. Made anew with each hello."""

    def __init__(self, device: Device, last: Revision, now: Seconds) -> None:
        """The next order's revision comes after `last` (see `continued`)."""
        self.device = device
        self.edge = NO_EDGE
        """Name of the edge that it is assigned; of one that it brought along, nothing is assigned."""
        self.ordered: DeviceOrder | None = None
        self.acknowledged = False
        self.load = 0.0
        """Seconds of the edge per second, as predicted."""
        self.awaits = ""
        """Address of an edge that it uses, and that has not come back after a restart; nothing is ordered meanwhile."""
        self.last = last
        self._seen = device.report.revision
        """Of the plan in force, as the device last said."""
        self._sent_at = now
        self._band: Band | None = None
        self._review_at, self._patience = now, FIRST_REVIEW
        self._barred: dict[Plan, Seconds] = {}
        self._heard = ""
        self._grounds: Grounds | None = None
        self._strategy: Strategy | None = None

    @property
    def unacknowledged(self) -> bool:
        return self.ordered is not None and not self.acknowledged

    def is_settled(self, report: pb.DeviceReport, now: Seconds) -> bool:
        """Whether there is nothing to decide: the look-up that nearly every report ends with."""
        band = self._band
        return band is not None and now < self._review_at and band.holds(report)

    def is_old(self, report: pb.DeviceReport) -> bool:
        """Whether it tells nothing beside its numbers: nothing is acknowledged, complained of, measured or noticed."""
        return (
            report.counter == self._seen.counter
            and report.epoch == self._seen.epoch
            and not report.paces
            and not report.trouble
            and not report.drift.event
        )

    def reconsider(self) -> None:
        """With the next report, whatever it says."""
        self._band = None

    def decide(self, edge: Edge | None, library: Library, strategy: str, now: Seconds) -> Decision:
        """What it should do, from its last report and the edge it has.

        Raises:
            PlanError: The strategy found none.
            InputError: Its objective asks what nobody knows.
        """
        device = self.device
        address = device.own_edge or (edge.address if edge else "")
        if device.host is None:
            plan = _without_times(device.shelf.manifest, reachable=bool(address))
            choice = Choice(plan=plan, forecast=None, why="what the network takes on this device is not known yet")
            return Decision(choice=choice, edge=address, agreement=0.0)
        grounds = self._find_grounds(device.host, edge, library, now)
        if grounds is not self._grounds or self._strategy is None:
            self._grounds, self._strategy = grounds, open_strategy(strategy, grounds)
        choice = self._strategy.choose(situation_of(device.report, edge, reachable=bool(address)))
        if choice.plan in self._barred:
            raise PlanError(f"{choice.plan} is the only plan, and the device could not follow it")
        return Decision(choice=choice, edge=address, agreement=_agreement(grounds, choice.plan))

    def settle(self, decision: Decision | None, sources: tuple[str, ...], now: Seconds) -> DeviceOrder | None:
        """Note what was decided; returns an order when that is something new."""
        report = self.device.report
        self._band = Band.around(report)
        if decision is None:
            self._review_at = Seconds(now + FIRST_REVIEW)
            return None
        self.load = report.rate * decision.load
        choice, shelf = decision.choice, self.device.shelf
        said, told = (str(choice.plan), shelf.digest, decision.edge), self.ordered
        if told is not None and said == (told.plan, told.model_digest, told.edge):
            self._review_at = Seconds(now + self._patience)
            self._patience = min(Seconds(LONGER * self._patience), LAST_REVIEW)
            return None
        self._review_at, self._patience = Seconds(now + LAST_REVIEW), FIRST_REVIEW
        self.last = Revision(self.last.epoch, self.last.counter + 1)
        forecast = choice.forecast
        self.ordered = DeviceOrder(
            plan=str(choice.plan),
            revision=self.last,
            model_digest=shelf.digest,
            bundle=shelf.name,
            edge=decision.edge,
            sources=sources,
            predicted=forecast.mean if forecast else Seconds(0.0),
            predicted_p95=forecast.p95 if forecast else Seconds(0.0),
            agreement=decision.agreement,
            why=choice.why,
        )
        self.acknowledged, self._sent_at = False, now
        return self.ordered

    def expects(self, report: DeviceReport, edge: Edge | None) -> Forecast | None:
        """Of the plan in force, by all that is known now; None while nothing is known about it."""
        if self._grounds is None or not report.plan:
            return None
        plan = resolve(report.plan, self._grounds.manifest)
        reachable = bool(self.device.own_edge or edge)
        situation = situation_of(report, edge, reachable=reachable)
        return self._grounds.model.forecast_plan(plan, situation, self._grounds.objective.deadline)

    def acknowledge(self, report: DeviceReport) -> bool:
        """Whether this report is the first to say that the last order is followed."""
        self._seen = report.revision
        if self.ordered is None or self.acknowledged or report.revision != self.ordered.revision:
            return False
        self.acknowledged = True
        return True

    def complain(self, trouble: str, library: Library, now: Seconds) -> bool:
        """The last order could not be followed; whether that was news. Its plan is barred for a while.

        The same words, shortly after another order, are still about the one before.
        """
        late = now - self._sent_at >= RESEND
        if self.ordered is None or self.acknowledged or (trouble == self._heard and not late):
            return False
        self._heard = trouble
        shelf = library.find(self.ordered.model_digest)
        self._barred[resolve(self.ordered.plan, shelf.manifest)] = Seconds(now + BARRED)
        self.acknowledged = True  # heard and refused: saying it again would not help
        return True

    def say_again(self, now: Seconds) -> DeviceOrder | None:
        """The last order, when it is time to."""
        if not self.unacknowledged or now - self._sent_at < RESEND:
            return None
        self._sent_at = now
        return self.ordered

    def _find_grounds(self, host: Host, edge: Edge | None, library: Library, now: Seconds) -> Grounds:
        device, digest = self.device, self.device.shelf.digest
        self._barred = {plan: until for plan, until in self._barred.items() if now < until}
        here = library.retimed(host, device.paces.applied)
        there = edge.hosts.get(digest) if edge else None
        if edge is not None and there is not None and digest in edge.paces:
            there = library.retimed(there, edge.paces[digest].applied)
        # An edge that has not measured itself is taken to be no faster than the device: nothing is promised too early.
        return library.grounds(device.shelf, here, there or here, device.objective, frozenset(self._barred))


def continued(last: Revision, epoch: int) -> Revision:
    """What the next order's revision follows: never one that the device has seen, even if our clock went back."""
    if last.epoch < epoch:
        return Revision(epoch, 0)
    return last if last.epoch == epoch else Revision(last.epoch + 1, 0)


def _without_times(manifest: Manifest, *, reachable: bool) -> Plan:
    if reachable:
        return default_plan(manifest)
    return resolve("split=end, exit=confidence:0.9" if manifest.branches else "split=end", manifest)


def _agreement(grounds: Grounds, plan: Plan) -> float:
    place = grounds.model.find(plan) if plan.exit.thresholds else None
    return 0.0 if place is None else grounds.model.candidates[place].agreement
