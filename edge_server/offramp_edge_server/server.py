"""The edge server as a whole: bundles in, ports out.

EdgeServer ── start ──► Inference, Delivery, health, reflection on --listen; Monitor on --metrics; a Registration
           ── stop ───► say so, refuse what comes, finish what was taken, end the streams, close the ports
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

import grpc.aio

from offramp.bundle.store import Bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import InputError, MissingExtraError
from offramp.runtime.runtime import Runtime
from offramp.tail import Tail
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.calling import PERIOD
from offramp.wire.channels import listen, server_options
from offramp.wire.delivery import SERVICE as DELIVERY
from offramp.wire.delivery import DeliveryService
from offramp_edge_server.meter import Meter, PrometheusMeter, SilentMeter
from offramp_edge_server.monitor import Monitor
from offramp_edge_server.profiling import profile_bytes, read_profiles
from offramp_edge_server.registration import Introduction, Registration, measured
from offramp_edge_server.routes import Router
from offramp_edge_server.runner import Runner
from offramp_edge_server.service import SERVICE, InferenceService
from offramp_edge_server.settings import EdgeSettings

_LAST_WORDS = Seconds(0.5)
"""After the streams have ended, so that their last frames leave; then those who only watch health are cut off."""

OpenRuntime = Callable[[Bundle], Runtime]


class EdgeServer:
    """Serves bundles from one event loop, started and stopped on it; an async context manager.

    async with EdgeServer([bundle], EdgeSettings(listen="127.0.0.1:0")) as edge:
        … edge.address …
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        settings: EdgeSettings,
        *,
        open_runtime: OpenRuntime | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.bundles = tuple(bundles)
        self.settings = settings
        self.address: Address = settings.address
        self.metrics_address: Address | None = settings.metrics_address
        self._open_runtime = open_runtime or self._open_chosen
        self._clock = clock or SystemClock()
        self._closing = contextlib.AsyncExitStack()
        self._ready = False
        self._finished = True
        self._grace = settings.grace
        self._runner: Runner | None = None
        _check_distinct(self.bundles)

    @property
    def waiting(self) -> int:
        """Requests that wait for the model."""
        return len(self._runner) if self._runner else 0

    async def start(self) -> None:
        """Open the ports; `address` and `metrics_address` hold the ports that were got.

        Raises:
            InputError: A port is in use, or a TLS file is not what it should be.
            MissingExtraError: The extra `edge` is not installed.
        """
        try:
            async with contextlib.AsyncExitStack() as opened:
                await self._start(opened)
                self._closing = opened.pop_all()
        except BaseException:
            self._ready = False
            raise

    async def stop(self, grace: Seconds | None = None) -> bool:
        """Finish what was taken, within `grace` (by default the setting's), and close everything.

        Returns whether all that was taken was finished; if not, a thread may still be in a model call.
        """
        self._ready = False
        self._grace = self.settings.grace if grace is None else grace
        await self._closing.aclose()
        return self._finished

    async def __aenter__(self) -> "EdgeServer":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start(self, opened: contextlib.AsyncExitStack) -> None:
        settings = self.settings
        tails = {}
        for bundle in self.bundles:
            runtime = self._open_runtime(bundle)
            opened.callback(runtime.close)
            tails[bundle.manifest.model_digest] = Tail(bundle, runtime)
        runner = self._runner = Runner(
            self._clock, queue=settings.queue, queue_bytes=settings.queue_bytes, max_batch=settings.max_batch
        )
        opened.callback(runner.close)
        meter: Meter = SilentMeter()
        if settings.metrics_address is not None:
            meter = PrometheusMeter(lambda: len(runner), lambda: runner.load.report)
            monitor = Monitor(settings.metrics_address, settings.tls, meter.render, lambda: self._ready)
            self.metrics_address = monitor.start()
            opened.push_async_callback(asyncio.to_thread, monitor.stop)
        router = Router(tails, meter)
        opened.callback(router.close)
        service = InferenceService(router, runner, meter, self._clock, max_pending=settings.pending)
        server = grpc.aio.server(options=server_options())
        server.add_generic_rpc_handlers((service.handler(), DeliveryService(self.bundles).handler()))
        health = _Health(server, [SERVICE, *(bundle.manifest.name for bundle in self.bundles)])
        self.address = listen(server, settings.address, settings.tls)
        registration = self._registration(runner)
        if registration is not None:
            opened.push_async_callback(registration.close)
        await server.start()
        opened.push_async_callback(self._stop_serving, server, service, health)
        if registration is not None:
            await registration.open()
            opened.callback(registration.stop)  # happens first: devices go elsewhere while the rest is finished
        beating = asyncio.create_task(self._beat(runner, registration))
        opened.callback(beating.cancel)
        await health.serving()
        self._ready = True

    async def _beat(self, runner: Runner, registration: Registration | None) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            runner.load.beat(self._clock.now(), len(runner))
            if registration is not None:
                registration.beat()

    def _registration(self, runner: Runner) -> Registration | None:
        settings = self.settings
        orchestrator = settings.orchestrator_address
        if orchestrator is None:
            return None
        found = settings.advertised(self.address)
        who = Introduction(
            orchestrator=orchestrator, name=settings.called(found), address=str(found), tls=settings.orchestrator_tls
        )
        profiles = read_profiles(settings.profile, self.bundles)
        return Registration(
            who,
            self.bundles,
            runner.load,
            profiles={digest: profile_bytes(profile) for digest, profile in profiles.items()},
            measure=partial(measured, self._open_runtime, settings.threads),
            clock=self._clock,
        )

    async def _stop_serving(self, server: grpc.aio.Server, service: InferenceService, health: "_Health") -> None:
        await health.stopping()
        try:
            await asyncio.wait_for(service.drain(), self._grace)
        except TimeoutError:
            self._finished = False
        await server.stop(_LAST_WORDS)

    def _open_chosen(self, bundle: Bundle) -> Runtime:
        if self.settings.runtime == "torch":
            from offramp.runtime.torch_backend import TorchRuntime

            return TorchRuntime(bundle, torch_device=self.settings.torch_device, capacity=self.settings.open)
        from offramp.runtime.onnx_backend import OnnxRuntime

        return OnnxRuntime(bundle, capacity=self.settings.open)


class _Health:
    """gRPC health for the service and for each bundle by name, and reflection.

    Raises:
        MissingExtraError: grpcio-health-checking or grpcio-reflection is not installed.
    """

    def __init__(self, server: grpc.aio.Server, names: Sequence[str]) -> None:
        try:
            from grpc_health.v1 import health, health_pb2, health_pb2_grpc
            from grpc_reflection.v1alpha import reflection
        except ImportError as error:
            raise MissingExtraError(
                "grpcio-health-checking and grpcio-reflection", "edge", "the edge server"
            ) from error
        self._names = names
        self._serving = health_pb2.HealthCheckResponse.SERVING
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        reflection.enable_server_reflection((SERVICE, DELIVERY, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    async def serving(self) -> None:
        for name in self._names:
            await self._servicer.set(name, self._serving)

    async def stopping(self) -> None:
        await self._servicer.enter_graceful_shutdown()


def _check_distinct(bundles: Sequence[Bundle]) -> None:
    if not bundles:
        raise InputError("there is no bundle to serve; give at least one with --bundle DIR")
    seen: dict[str, Bundle] = {}
    for bundle in bundles:
        other = seen.setdefault(bundle.manifest.model_digest, bundle)
        if other is not bundle:
            raise InputError(f"{other.path} and {bundle.path} are the same bundle; give it once")
