"""A controller as a whole: bundles in, one port out; in the orchestrator's own process, or in an actor of Ray's.

ControllerServer ── start ──► Control and Delivery on --listen
                 ── stop ───► end the streams, so that callers come back later; close the port
"""

import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType

import grpc.aio

from offramp.bundle.store import Bundle
from offramp.clock import Clock, SystemClock
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.channels import listen, server_options
from offramp.wire.delivery import DeliveryService
from offramp_orchestrator.controller import Controller, Policy
from offramp_orchestrator.events import Tell, unheard
from offramp_orchestrator.library import Library, Shelf
from offramp_orchestrator.service import ControlService, Enter, right_here
from offramp_orchestrator.settings import OrchestratorSettings

_LAST_WORDS = Seconds(0.5)
"""After the streams have ended, so that their last frames leave; then a delivery that is under way is cut off."""


class ControllerServer:
    """Serves one controller from one event loop, started and stopped on it; an async context manager.

    async with ControllerServer([bundle], OrchestratorSettings(listen="127.0.0.1:0")) as controller:
        … controller.address …
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        settings: OrchestratorSettings,
        *,
        tell: Tell = unheard,
        enter: Enter = right_here,
        clock: Clock | None = None,
    ) -> None:
        """
        Raises:
            InputError: There is no bundle, or one is there twice.
            BundleError: A bundle ships no candidates.
        """
        self.bundles = tuple(bundles)
        self.settings = settings
        self.address: Address = settings.address
        self._library = Library([Shelf.of(bundle) for bundle in bundles], settings.energy)
        self._tell, self._enter = tell, enter
        self._clock = clock or SystemClock()
        self._closing = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Open the port; `address` holds the one that was got.

        Raises:
            InputError: The port is in use, or a TLS file is not what it should be.
        """
        settings = self.settings
        server = grpc.aio.server(options=server_options())
        self.address = listen(server, settings.address, settings.tls)
        policy = Policy(
            objective=self._library.accept(settings.wanted),
            strategy=settings.strategy,
            sources=found_at(self.address, settings.advertise),
            telemetry=settings.telemetry,
        )
        controller = Controller(self._library, new_epoch(), self._clock.now(), policy, self._tell)
        service = ControlService(controller, self._clock, self._enter)
        server.add_generic_rpc_handlers((service.handler(), DeliveryService(self.bundles).handler()))
        await server.start()
        await service.start()
        self._closing.push_async_callback(server.stop, _LAST_WORDS)
        self._closing.push_async_callback(service.stop)

    async def stop(self) -> None:
        """Tell everybody to come back later, and close the port."""
        await self._closing.aclose()

    async def __aenter__(self) -> "ControllerServer":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def new_epoch() -> int:
    """Seconds since 1970: larger than that of any earlier start, with nothing to be kept on disk.

    Where a clock went back, or two starts fell into one second, a device's hello says which revision it has seen, and
    its orders are numbered from there.
    """
    return int(datetime.now(UTC).timestamp())


def found_at(address: Address, advertise: str) -> tuple[str, ...]:
    """Where devices find what listens here; when that is anywhere, nobody knows but they."""
    if advertise:
        return (str(replace(address, host=advertise)),)
    try:
        anywhere = ipaddress.ip_address(address.host).is_unspecified
    except ValueError:  # a name, or a Unix socket
        anywhere = False
    return () if anywhere else (str(address),)
