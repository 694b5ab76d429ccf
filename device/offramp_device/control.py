"""What keeps a device on its plan: an orchestrator's orders, or its own choice while it has never heard one.

                         ┌─ hello, reports ─► orchestrator ─ orders ─► pilot ──┐
device ─► telemetry ─────┤                                                     ├─► adopt
                         └─ once a second, when nobody steers ──────► alone ───┘
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from offramp.bundle.jsonform import to_json
from offramp.bundle.store import Bundle
from offramp.errors import OfframpError
from offramp.measure.drift import DriftEvent
from offramp.measure.profile import Profile
from offramp.plan import Plan
from offramp.planning.candidates import Candidates
from offramp.planning.objective import parse_objective
from offramp.records import Result
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.calling import DEVICE, ControlLink
from offramp_device.alone import Alone
from offramp_device.device import Device
from offramp_device.edges import Edges
from offramp_device.engine import Engine, open_engine
from offramp_device.loop import LoopThread
from offramp_device.pilot import Pilot
from offramp_device.shadows import Shadows
from offramp_device.steering import Steering
from offramp_device.stock import Stock
from offramp_device.telemetry import Telemetry
from offramp_device.timing import find_profile
from offramp_device.trust import Trust

if TYPE_CHECKING:
    from offramp_device.intake import Intake

log = logging.getLogger(__name__)

PERIOD = Seconds(1.0)
"""Between two reports, and two choices of its own."""
LEAST = Seconds(0.2)
"""Between two of them when something has happened."""
UNREACHED = Seconds(3.0)
"""An orchestrator that has not ordered anything by then is not waited for: the device begins to choose by itself."""
ENDING = Seconds(5.0)
"""How long a thread may take to end: a plan that is being opened is opened to its end."""
MOST_IDLE = 64
"""Pieces of work that wait for a quiet moment."""

Event = Mapping[str, Any]
Tell = Callable[[str], None]


class Control:
    """Of one device; a context manager."""

    def __init__(
        self,
        device: Device,
        edges: Edges,
        steering: Steering,
        bundle: Bundle,
        candidates: Candidates | None,
        profile: Profile | None,
        *,
        intake: "Intake | None" = None,
        tell: Tell = lambda _message: None,
        event: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        """
        Args:
            device: Whom to keep on its plan.
            edges: Of the device.
            steering: Who says which plan.
            bundle: What it runs.
            candidates: Of the bundle; None when it ships none.
            profile: Of this board with it; None when there is nothing to choose from.
            intake: Of its samples; None in a program that asks one by one.
            tell: Takes news for people.
            event: Takes what programs should know.
        """
        self._device, self._edges, self._steering = device, edges, steering
        self._bundle, self._profile = bundle, profile
        self._tell, self._event = tell, event
        self._stopped, self._stirred = threading.Event(), threading.Event()
        self._idle: deque[Callable[[], None]] = deque(maxlen=MOST_IDLE)
        self._reporting = threading.Lock()
        self._predicted = Seconds(0.0)
        self._ordered = False
        self._begun = device.clock.now()
        self._stock = Stock(steering.store, device.clock, tls=steering.tls, tell=tell, stopped=self._stopped.is_set)
        self._trust = Trust(steering.shadow, alarmed=self._alarmed)
        self._shadows = Shadows(self._trust, device.clock, self._idle.append if intake is None else intake.when_idle)
        self.telemetry = Telemetry(
            device, edges, self._trust, self._shadows, waiting=lambda: 0 if intake is None else intake.waiting
        )
        self._alone = self._open_alone(candidates, profile) if steering.chooses else None
        self._pilot = Pilot(
            device,
            edges,
            self._open_engine,
            followed=self._followed,
            failed=self.stir,
            own_edge=bool(steering.own_edge),
        )
        self._sockets = LoopThread()
        self._link: ControlLink[DeviceHello, DeviceReport, DeviceOrder] | None = None
        self._threads = [
            threading.Thread(target=self._pilot.run, name="offramp-pilot", daemon=True),
            threading.Thread(target=self._run, name="offramp-control", daemon=True),
        ]

    def __enter__(self) -> "Control":
        self._trust.follow(self._device.plan)
        watched = self._shadows if self._steering.shadow > 0 else None
        self._device.pipeline.report_to(self.telemetry.speeds, watched)
        self._sockets.__enter__()
        if self._steering.orchestrator is not None:
            self._link = self._sockets.spawn(self._call(self._steering.orchestrator)).result()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._stirred.set()
        self._pilot.stop()
        if self._link is not None:
            self._sockets.spawn(self._link.leave()).result()
        for thread in self._threads:
            thread.join(ENDING)
        self._sockets.__exit__()

    def note(self, result: Result) -> None:
        """A sample has its Result; from any thread."""
        self.telemetry.note(result)

    def stir(self) -> None:
        """Something has happened that whoever steers should know now; from any thread."""
        self._stirred.set()

    # What the orchestrator hears and says, on the event loop.

    async def _call(self, address: Address) -> ControlLink[DeviceHello, DeviceReport, DeviceOrder]:
        link: ControlLink[DeviceHello, DeviceReport, DeviceOrder] = ControlLink(
            DEVICE,
            address,
            self._steering.name,
            hello=self._hello,
            report=self._report,
            order=self._pilot.order,
            tls=self._steering.tls,
            meanwhile="keeping the plan",
            tell=self._tell,
        )
        await link.open()
        return link

    def _hello(self) -> DeviceHello:
        steering, digest = self._steering, self._device.manifest.model_digest
        profile = self._profile
        return DeviceHello(
            name=steering.name,
            bundle=digest,
            digests=tuple(dict.fromkeys((digest, *self._stock.digests))),
            profile=b"" if profile is None else json.dumps(to_json(profile)).encode(),
            objective=steering.objective,
            edge=steering.own_edge,
            report=self._report(afresh=True),
        )

    def _report(self, *, afresh: bool = False) -> DeviceReport:
        with self._reporting:
            report = self.telemetry.report(trouble=self._pilot.trouble, afresh=afresh)
        self._event(telemetry_event(report, self._predicted))
        return report

    # Orders, on the pilot's thread.

    def _open_engine(self, order: DeviceOrder) -> Engine:
        steering = self._steering
        sources = order.sources
        if steering.orchestrator is not None:
            sources = (*sources, str(steering.orchestrator))
        self._bundle = self._stock.obtain(order.model_digest, order.bundle, sources)
        return open_engine(self._bundle, self._device.clock, threads=steering.threads, slowdown=steering.slowdown)

    def _followed(self, order: DeviceOrder, plan: Plan) -> None:
        self._ordered = True
        self._in_force(plan, order.predicted, order.agreement, order.why)
        profile = self._profile
        if order.model_digest and (profile is None or profile.model_digest != order.model_digest):
            self._measure_again()
        self.stir()

    def _measure_again(self) -> None:
        """Another bundle runs: take its times, and say hello again, which is how they are told."""
        try:
            _, self._profile = find_profile(self._bundle, self._steering, self._device.clock, self._tell)
        except OfframpError as error:
            self._tell(f"{error}; the orchestrator has to plan without it")
            return
        link, address = self._link, self._steering.orchestrator
        if link is not None and address is not None and not self._stopped.is_set():
            self._sockets.spawn(link.close()).result()
            self._link = self._sockets.spawn(self._call(address)).result()

    # Every second, on a thread of its own.

    def _run(self) -> None:
        due = self._device.clock.now()
        while not self._stopped.is_set():
            self._stirred.wait(max(due - self._device.clock.now(), 0.0))
            self._stirred.clear()
            due = Seconds(self._device.clock.now() + PERIOD)
            try:
                self._turn()
            except Exception:  # what steers must not end with one bad turn
                log.exception("a turn of the control thread failed")
            self._stopped.wait(LEAST)

    def _turn(self) -> None:
        for _ in range(len(self._idle)):
            self._idle.popleft()()
        link = self._link
        if link is not None and link.controllers:
            link.nudge()
            return
        report = self._report()
        if self._alone is not None and not self._ordered and self._is_time():
            self._choose(self._alone, report)

    def _is_time(self) -> bool:
        steering = self._steering
        if steering.orchestrator is None or not steering.waits:
            return True
        return self._device.clock.now() - self._begun > UNREACHED

    def _choose(self, alone: Alone, report: DeviceReport) -> None:
        before = self._device.plan
        alone.learn(before, report.link)
        choice = alone.choose(
            report, regular=self.telemetry.regular, caution=self._trust.caution, paces=self.telemetry.speeds.values()
        )
        self._predicted = choice.forecast.mean if choice.forecast else Seconds(0.0)
        if str(choice.plan) != str(before):
            plan = self._device.adopt(choice.plan)
            self._in_force(plan, self._predicted, alone.agreement(plan), choice.why)

    def _open_alone(self, candidates: Candidates | None, profile: Profile | None) -> Alone | None:
        if candidates is None or profile is None:
            return None
        steering, device = self._steering, self._device
        objective = parse_objective(steering.objective)
        return Alone(device.manifest, candidates, profile, objective, steering.strategy, device.clock)

    # What is told.

    def _in_force(self, plan: Plan, predicted: Seconds, promise: float, why: str) -> None:
        self._predicted = predicted
        self._trust.follow(plan, promise)
        self._probe(plan)
        self._tell(f"plan {plan.revision}: {plan}" + f" ({why})" * bool(why))
        event = {
            "event": "plan",
            "plan": str(plan),
            "revision": str(plan.revision),
            "predicted": predicted or None,
            "edge": self._edges.in_use or None,
            "why": why,
        }
        self._event(event)

    def _probe(self, plan: Plan) -> None:
        """Nobody may leave: then branches are asked on the side, or nothing would ever say that they recovered."""
        cut = None if plan.exit.thresholds or not self._trust.caution else self._trust.asks
        self._shadows.probe = None if cut is None else self._device.branch_at(cut)

    def _alarmed(self, event: DriftEvent) -> None:
        self._tell(str(event))
        found = event.agreement
        self._event(
            {
                "event": "drift",
                "text": str(event),
                "caution": event.after,
                "agreement": found.value,
                "low": found.low,
                "high": found.high,
                "shadows": found.labels,
            }
        )
        self.stir()


def telemetry_event(report: DeviceReport, predicted: Seconds) -> dict[str, Any]:
    """What `--telemetry` writes."""
    link = report.link
    return {
        "event": "telemetry",
        "bandwidth": None if link is None else link.bandwidth,
        "bandwidth_low": None if link is None else link.bandwidth_low,
        "round_trip": None if link is None else link.round_trip,
        "changes": 0 if link is None else link.changes,
        "plan": report.plan,
        "revision": str(report.revision),
        "predicted": predicted or None,
        "latency": report.latency or None,
        "rate": report.rate,
        "edge": report.edge or None,
        "results": {kind.value: count for kind, count in report.answered.items() if count},
        "wire_bytes": report.wire_bytes,
        "caution": 0 if report.drift is None else report.drift.caution,
        "trouble": report.trouble,
    }
