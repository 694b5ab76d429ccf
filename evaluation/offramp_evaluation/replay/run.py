"""Replays a scenario sample by sample: an exact event simulation of everything but the processors' noise."""

from collections.abc import Iterator
from functools import partial

from offramp.bundle.manifest import Manifest
from offramp.clock import ManualClock
from offramp.plan import Plan
from offramp.planning.strategies.strategy import Choice
from offramp.records import NO_REVISION, Result, Revision, Sample
from offramp.units import Seconds
from offramp_device.pipeline import Pipeline
from offramp_device.route import Route, RouteOpener
from offramp_device.worker import Worker
from offramp_evaluation.replay.board import HubIntake
from offramp_evaluation.replay.drivers import Seen
from offramp_evaluation.replay.edge import SimulatedEdge
from offramp_evaluation.replay.happened import Carried, Happened
from offramp_evaluation.replay.hub import Hub
from offramp_evaluation.replay.link import OneWay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.uplink import SimulatedUplink, Way
from offramp_evaluation.replay.voices import TapeCodec, TapeRuntime, refuse_another_head, row_data

EARLY = 0.25
"""Of a driver's period, after which it is asked for the second time: at the start nothing is known about the link."""
TAIL = Seconds(30.0)
"""Simulated time after the last arrival for which connections are kept up."""


def replay(scenario: Scenario) -> Happened:
    """Run it from the first arrival to the last Result."""
    hub, done = Hub(), Happened()
    edge = SimulatedEdge(hub, scenario.tape, scenario.manifest, scenario.edge, scenario.edge_settings)
    until = Seconds(max(float(device.arrivals[-1]) for device in scenario.devices) + TAIL)
    ways = [_way(hub, scenario, edge) for _ in (scenario.devices[:1] if scenario.shared_link else scenario.devices)]
    uplinks = []
    for number, device in enumerate(scenario.devices):
        way = ways[0 if scenario.shared_link else number]
        uplinks.append(SimulatedUplink(hub, way, scenario.manifest, until=until))
        _Board(hub, scenario, device, uplinks[-1], done).start()
    hub.run()
    done.edge_seconds, done.edge_macs = edge.busy_seconds, edge.macs
    done.late = sum(uplink.late for uplink in uplinks)
    for uplink in uplinks:
        done.up_seconds |= uplink.up_seconds
    done.up, done.down = _carried([way.up for way in ways]), _carried([way.down for way in ways])
    return done


def _carried(links: list[OneWay]) -> Carried:
    return Carried(sum(link.nbytes for link in links), Seconds(sum(link.on_air for link in links)))


def _way(hub: Hub, scenario: Scenario, edge: SimulatedEdge) -> Way:
    return Way(up=OneWay(hub, scenario.up), down=OneWay(hub, scenario.down, extra=scenario.stack), edge=edge)


class _Board:
    """One device: its routes over the tape, its uplink, its worker."""

    def __init__(
        self, hub: Hub, scenario: Scenario, script: DeviceScript, uplink: SimulatedUplink, done: Happened
    ) -> None:
        self._hub = hub
        self._scenario = scenario
        self._script = script
        self._uplink = uplink
        self._done = done
        self._aside = ManualClock()
        profile = script.profile.headed(scenario.tape.header.head)
        self._runtime = TapeRuntime(scenario.tape, scenario.manifest, profile, self._aside)
        self._opener = RouteOpener(
            scenario.manifest, self._runtime, self._aside, self._codec, lambda _head: self._runtime
        )
        self._routes: dict[Plan, Route] = {}
        self._intake = HubIntake(scenario.queue)
        self._plan: Plan | None = None
        self._revision = NO_REVISION
        self._fresh: list[Result] = []
        """Since the driver was last told."""

    def start(self) -> None:
        """Plan everything that happens to this device by itself."""
        driver, deadline = self._script.driver, self._scenario.deadline
        first = driver.choose(Seen(now=Seconds(0.0), link=None, lost=False))
        pipeline = Pipeline(self._route(first.plan), self._uplink, self._hub, deadline=deadline)
        self._note(first)
        emit = self._done.results.append if driver.period is None else self._emit
        worker = Worker(pipeline, self._intake, self._hub, emit)
        if driver.period is not None:
            self._hub.at(driver.period * EARLY, partial(self._choose, pipeline, EARLY, driver.period))
        samples = self._samples()
        self._arrive(worker, next(samples), samples)
        self._uplink.start()
        self._hub.work(partial(self._intake.serve, self._hub, worker))

    def _samples(self) -> Iterator[Sample]:
        truth = self._scenario.tape.truth_N
        entering = zip(self._script.rows.tolist(), self._script.arrivals.tolist(), strict=True)
        for index, (row, arrival) in enumerate(entering):
            yield Sample(
                stream=self._script.name,
                index=index,
                data=row_data(row),
                arrival=Seconds(arrival),
                truth=int(truth[row]) if truth[row] >= 0 else None,
            )

    def _arrive(self, worker: Worker, sample: Sample, later: Iterator[Sample]) -> None:
        """Plan one arrival, which plans the next: an agenda of a few entries is faster than one of thousands."""

        def arrive() -> None:
            worker.arrive(sample)
            if (following := next(later, None)) is not None:
                self._arrive(worker, following, later)

        self._hub.at(sample.arrival + self._scenario.overhead, arrive)

    def _emit(self, result: Result) -> None:
        self._done.results.append(result)
        self._fresh.append(result)

    def _choose(self, pipeline: Pipeline, turn: float, period: Seconds) -> None:
        """At `turn` periods, and again at the next whole one."""
        driver, fresh, now = self._script.driver, self._fresh, turn * period
        self._fresh = []
        # Stragglers of an earlier plan say nothing about this one.
        driver.learn([result for result in fresh if result.revision == self._revision])
        choice = driver.choose(Seen(now=Seconds(now), link=self._uplink.estimate(), lost=self._uplink.lost))
        if choice.plan != self._plan:
            pipeline.adopt(self._route(choice.plan))
        self._note(choice)
        if now < self._script.arrivals[-1]:
            later = int(turn) + 1
            self._hub.at(later * period, partial(self._choose, pipeline, later, period))

    def _note(self, choice: Choice) -> None:
        if choice.forecast is not None:
            self._done.forecasts.setdefault(self._revision, []).append(choice.forecast)

    def _route(self, plan: Plan) -> Route:
        """Opened aside, as a device does while it goes on with the plan that it has: at no simulated time."""
        if plan not in self._routes:
            refuse_another_head(plan, self._scenario.tape)
            self._runtime.clock = self._aside
            self._routes[plan] = self._opener.open(plan)
            self._runtime.clock = self._hub
        self._plan = plan
        self._revision = Revision(1, len(self._done.plans) + 1)
        self._done.plans[self._revision] = plan
        return self._routes[plan].revised(self._revision)

    def _codec(self, name: str, _manifest: Manifest, split: int) -> TapeCodec:
        return TapeCodec(self._scenario.tape, self._script.profile, self._runtime, split, name)
