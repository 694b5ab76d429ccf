"""Replays a scenario sample by sample: an exact event simulation of everything but the processors' noise."""

from functools import partial

from offramp.bundle.manifest import Manifest
from offramp.clock import ManualClock
from offramp.plan import Plan
from offramp.records import Result, Sample
from offramp.units import Seconds
from offramp_device.pipeline import Pipeline
from offramp_device.route import Route, RouteOpener
from offramp_device.worker import Worker
from offramp_evaluation.replay.board import HubIntake
from offramp_evaluation.replay.edge import SimulatedEdge
from offramp_evaluation.replay.hub import Hub
from offramp_evaluation.replay.link import OneWay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.uplink import SimulatedUplink, Way
from offramp_evaluation.replay.voices import TapeCodec, TapeRuntime, row_data

TAIL = Seconds(30.0)
"""Simulated time after the last arrival for which connections are kept up."""


def replay(scenario: Scenario) -> list[Result]:
    """Every sample's Result, in the order in which they came to be."""
    hub, results = Hub(), list[Result]()
    edge = SimulatedEdge(
        hub,
        scenario.tape,
        scenario.manifest,
        scenario.edge,
        queue=scenario.edge_queue,
        max_batch=scenario.edge_batch,
    )
    until = Seconds(max(float(device.arrivals[-1]) for device in scenario.devices) + TAIL)
    shared = _way(hub, scenario, edge)
    for device in scenario.devices:
        way = shared if scenario.shared_link else _way(hub, scenario, edge)
        _Board(hub, scenario, device, way, until, results).start()
    hub.run()
    return results


def _way(hub: Hub, scenario: Scenario, edge: SimulatedEdge) -> Way:
    return Way(up=OneWay(hub, scenario.up), down=OneWay(hub, scenario.down), edge=edge)


class _Board:
    """One device: its routes over the tape, its uplink, its worker."""

    def __init__(
        self, hub: Hub, scenario: Scenario, script: DeviceScript, way: Way, until: Seconds, results: list[Result]
    ) -> None:
        self._hub = hub
        self._scenario = scenario
        self._script = script
        self._aside = ManualClock()
        self._runtime = TapeRuntime(scenario.tape, scenario.manifest, script.profile, self._aside)
        self._opener = RouteOpener(scenario.manifest, self._runtime, self._aside, self._codec)
        self._routes: dict[Plan, Route] = {}
        self._uplink = SimulatedUplink(hub, way, scenario.manifest, until=until)
        self._intake = HubIntake(scenario.queue)
        self._results = results

    def start(self) -> None:
        """Plan everything that happens to this device by itself."""
        driver = self._script.driver
        pipeline = Pipeline(
            self._route(driver.choose(Seconds(0.0), None)), self._uplink, self._hub, deadline=self._scenario.deadline
        )
        worker = Worker(pipeline, self._intake, self._hub, self._results.append)
        if driver.period is not None:
            self._hub.at(driver.period, partial(self._choose, pipeline, driver.period))
        truth = self._scenario.tape.truth_N
        entering = zip(self._script.rows.tolist(), self._script.arrivals.tolist(), strict=True)
        for index, (row, arrival) in enumerate(entering):
            sample = Sample(
                stream=self._script.name,
                index=index,
                data=row_data(row),
                arrival=Seconds(arrival),
                truth=int(truth[row]) if truth[row] >= 0 else None,
            )
            self._hub.at(arrival, partial(worker.arrive, sample))
        self._uplink.start()
        self._hub.work(partial(self._intake.serve, self._hub, worker))

    def _choose(self, pipeline: Pipeline, period: Seconds) -> None:
        plan = self._script.driver.choose(self._hub.now(), self._uplink.estimate())
        if plan != pipeline.route.plan:
            pipeline.adopt(self._route(plan))
        if self._hub.now() < self._script.arrivals[-1]:
            self._hub.at(self._hub.now() + period, partial(self._choose, pipeline, period))

    def _route(self, plan: Plan) -> Route:
        """Opened aside, as a device does while it goes on with the plan that it has: at no simulated time."""
        if plan not in self._routes:
            self._runtime.clock = self._aside
            self._routes[plan] = self._opener.open(plan)
            self._runtime.clock = self._hub
        return self._routes[plan]

    def _codec(self, name: str, _manifest: Manifest, split: int) -> TapeCodec:
        return TapeCodec(self._scenario.tape, self._script.profile, self._runtime, split, name)
