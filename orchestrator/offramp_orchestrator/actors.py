"""The only module of the orchestrator that imports Ray: controllers and edges as actors of a cluster.

    the front door ── serve, twice a second ──► actor ── owns ─────► a controller at a port of its node ◄── devices
    (this process) ── trouble?, now and then ─► actor ── tethers ──► `offramp edge` ──► every controller

Ray places actors, restarts those that die, and moves them when their node is gone; nothing else. It is on the way of no
report and of no request: devices and edges ask the front door once, and then talk to their controller directly.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from offramp.bundle.parcel import Files, read_files
from offramp.bundle.store import Bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import LinkError, MissingExtraError, OfframpError
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp_orchestrator.events import Event, Tell, unheard
from offramp_orchestrator.front import FrontDoor
from offramp_orchestrator.placing import check_reach, numbered, reach
from offramp_orchestrator.server import ControllerServer
from offramp_orchestrator.settings import OrchestratorSettings
from offramp_orchestrator.tenants import ControllerTenant, EdgeTenant

CONTROLLER_CPUS = 0.1
"""What a controller asks of a node: a thousand devices that report each second."""
PERIOD, EDGE_PERIOD = Seconds(0.5), Seconds(2.0)
"""Between two calls of one actor, each about 1 ms."""
CALLS = 4
"""Of controllers' actors, all together and per second, however many there are; of edges' actors too."""
SILENCE = Seconds(3.0)
"""An actor that has not answered by then is away."""
STARTING = Seconds(30.0)
"""For the first start of all controllers; whoever needs one that takes longer is asked to come back."""
STOPPING = Seconds(10.0)
"""Until every edge has finished what it took."""
FOR_EVER = -1
"""Restarts of an actor."""


def open_ray(address: str | None, purpose: str) -> Any:
    """Ray, connected: to the cluster at an address, or to one of this machine alone.

    Raises:
        MissingExtraError: Ray is not installed; the message says for which purpose it is needed.
        LinkError: There is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Under `uv run` Ray would build the environment anew for each worker, and can stall on it.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray as imported
    except ImportError as error:
        raise MissingExtraError("ray", "orchestrator", purpose) from error
    ray: Any = imported
    try:
        # "local": never a cluster that happens to run here and was not asked for.
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise LinkError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    # It would print of every worker that ends on standard output, where commands write JSON lines.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    return ray


class RayControllers:
    """Controllers and edges on a Ray cluster behind one front door; started and stopped on one event loop."""

    def __init__(
        self,
        bundles: Sequence[Bundle],
        settings: OrchestratorSettings,
        *,
        tell: Tell = unheard,
        clock: Clock | None = None,
    ) -> None:
        """
        Raises:
            InputError: There is no bundle, or one is there twice.
            BundleError: A bundle ships no candidates.
        """
        self._bundles, self._settings, self._tell = bundles, settings, tell
        self._clock = clock or SystemClock()
        self._front = FrontDoor(settings.controllers, self._clock.now())
        # Devices and edges that enter are sent on, so its own controller has nothing to do; what it delivers they take.
        self._server = ControllerServer(bundles, settings, tell=tell, enter=self.enter, clock=self._clock)
        self._ray: Any = None
        self._here = ""
        self._parcels: list[Any] = []
        self._controllers: list[Any] = []
        self._edges: list[Any] = []
        self._watching: list[asyncio.Task[None]] = []

    @property
    def address(self) -> Address:
        """Where devices and edges enter, once it is started."""
        return self._server.address

    def enter(self, name: str, edge: bool) -> Sequence[str]:
        """The addresses of the controllers that take care of a device or an edge.

        Raises:
            LinkError: One of them is being started; the caller comes back.
        """
        now = self._clock.now()
        return self._front.edge(now) if edge else (self._front.device(name, now),)

    async def start(self) -> None:
        """Return when every controller serves, or STARTING is over.

        Raises:
            MissingExtraError: Ray is not installed.
            LinkError: There is no such cluster.
            InputError: Devices could not reach its nodes, a port is in use, or a TLS file is not what it should be.
        """
        try:
            await asyncio.to_thread(self._connect)
            _take_back_sigterm()
            self._place_controllers()
            await self._first_answers()
            await self._server.start()
            self._place_edges()
        except BaseException:
            await self.stop()
            raise
        watches = [self._watch_controller(number) for number in range(len(self._controllers))]
        watches += [self._watch_edge(number) for number in range(len(self._edges))]
        self._watching = [asyncio.create_task(watch) for watch in watches]

    async def stop(self) -> None:
        """Stop everything in good order, and leave the cluster."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._server.stop()
        if self._ray is None:
            return
        ends = [_answer(actor.stop.remote(), STOPPING) for actor in (*self._edges, *self._controllers)]
        await asyncio.gather(*ends, return_exceptions=True)  # of one that is away nothing is left to stop
        await asyncio.to_thread(self._ray.shutdown)
        self._ray = None

    def _connect(self) -> None:
        ray = self._ray = open_ray(self._settings.ray_address, "deciding on Ray")
        self._here = ray.util.get_node_ip_address()
        nodes = frozenset(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
        check_reach(self._settings.address, self._here, nodes)
        self._parcels = [ray.put(read_files(bundle)) for bundle in self._bundles]

    def _place_controllers(self) -> None:
        place = self._actor(_ControllerActor, CONTROLLER_CPUS)
        numbers = range(self._settings.controllers)
        self._controllers = [place(number, self._settings) for number in numbers]

    def _place_edges(self) -> None:
        place = self._actor(_EdgeActor, self._settings.edge_cpus)
        entrance = str(reach(self.address, self._here, port=self.address.port).listen)
        if self.address.path:  # of this machine, as everything then is
            entrance = str(self.address)
        digests = [bundle.manifest.model_digest for bundle in self._bundles]
        numbers = range(self._settings.edges)
        self._edges = [place(number, self._settings, entrance, digests) for number in numbers]

    def _actor(self, kind: type[object], cpus: float) -> Callable[..., Any]:
        options = {"num_cpus": cpus, "max_restarts": FOR_EVER, "scheduling_strategy": "SPREAD"}
        place: Callable[..., Any] = self._ray.remote(**options)(kind).remote
        return place

    async def _first_answers(self) -> None:
        """
        Raises:
            OfframpError: A controller cannot be started, wherever it is tried.
        """
        calls = [_answer(actor.serve.remote(self._parcels), STARTING) for actor in self._controllers]
        for number, outcome in enumerate(await asyncio.gather(*calls, return_exceptions=True)):
            if isinstance(cause := getattr(outcome, "cause", None), OfframpError):
                raise cause
            if isinstance(outcome, BaseException):
                self._lost(number, outcome)
            else:
                self._answered(number, *outcome)

    async def _watch_controller(self, number: int) -> None:
        period = max(PERIOD, Seconds(len(self._controllers) / CALLS))
        while True:
            try:
                outcome = await _answer(self._controllers[number].serve.remote(self._parcels), SILENCE)
            except Exception as error:  # whatever Ray says: it may be back at the next call
                self._lost(number, error)
            else:
                self._answered(number, *outcome)
            await asyncio.sleep(period)

    async def _watch_edge(self, number: int) -> None:
        period = max(EDGE_PERIOD, Seconds(len(self._edges) / CALLS))
        told, patience = "", STARTING
        while True:
            try:
                why: str = await _answer(self._edges[number].trouble.remote(), patience)
            except Exception:  # as above
                why = f"its node is gone, or none has {self._settings.edge_cpus:g} CPUs free; Ray keeps trying"
            if why and why != told:
                self._tell(Event("edge ended", {"edge": edge_name(number), "why": why}))
            told, patience = why, SILENCE
            await asyncio.sleep(period)

    def _answered(self, number: int, address: str, events: Sequence[Event]) -> None:
        if self._front.up(number, address):
            self._tell(Event("controller up", {"controller": number, "address": address}))
        for event in events:
            self._tell(event)

    def _lost(self, number: int, error: BaseException) -> None:
        if self._front.away(number, self._clock.now()):
            why = "it does not answer" if isinstance(error, TimeoutError) else "its process or its node is gone"
            self._tell(Event("controller lost", {"controller": number, "why": why}))


class _ControllerActor(ControllerTenant):
    """Its bundles come with `serve` and not here: Ray would not restart an actor whose arguments may get lost."""

    def __init__(self, number: int, settings: OrchestratorSettings) -> None:
        port = numbered(settings.node_port, number)
        super().__init__(settings, reach(settings.address, _node(), advertise=settings.advertise, port=port), _get)


class _EdgeActor(EdgeTenant):
    def __init__(self, number: int, settings: OrchestratorSettings, entrance: str, digests: Sequence[str]) -> None:
        port = numbered(settings.node_port, settings.controllers + number)
        found = reach(settings.address, _node(), advertise=settings.advertise, port=port)
        super().__init__(edge_name(number), entrance, digests, max(1, int(settings.edge_cpus)), found)


def edge_name(number: int) -> str:
    """Of an edge that Ray keeps; others that register with the same orchestrator have others."""
    return f"ray-{number}"


def _node() -> str:
    """Address of the node that this worker runs on."""
    import ray

    node: Any = ray.util
    address: str = node.get_node_ip_address()
    return address


async def _get(parcels: Sequence[Any]) -> list[Files]:
    return list(await asyncio.gather(*parcels))


def _take_back_sigterm() -> None:
    """Whoever handled it before Ray came does so again: Ray has it print a stack and end the process."""
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


async def _answer(call: Any, patience: Seconds) -> Any:
    """What an actor answers.

    Raises:
        TimeoutError: Nothing, in time.
    """
    answer = asyncio.wrap_future(call.future())
    # Nobody may be waiting any more when it fails; then that is no news.
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.wait_for(asyncio.shield(answer), patience)
