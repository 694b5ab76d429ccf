"""A controller for callers to talk to: it remembers what it hears, and says what a test tells it to say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeHello, EdgeReport
from offramp.wire import control
from offramp.wire.address import Address, parse_address
from offramp.wire.calling import SERVICE
from offramp.wire.channels import listen, server_options
from offramp.wire.tls import ServerTls
from offramp.wire.v1 import control_pb2 as pb

PATIENCE = 20.0  # seconds: only a bug takes longer
Context = grpc.aio.ServicerContext[bytes, bytes]


class FakeController:
    """Welcomes whoever comes. Everything it heard lies in its lists, in order."""

    def __init__(self) -> None:
        self.address = Address(host="127.0.0.1")
        self.controllers: list[str] = [""]
        """What it answers whoever enters."""
        self.entered: list[pb.EnterRequest] = []
        self.hellos: list[DeviceHello | EdgeHello] = []
        self.reports: list[DeviceReport | EdgeReport] = []
        self.left = 0
        """Streams that their callers ended in good order."""
        self.refuses = False
        self._streams: list[Context] = []
        self._changed = asyncio.Condition()

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Enter": grpc.unary_unary_rpc_method_handler(self._enter),
                "Device": grpc.stream_stream_rpc_method_handler(self._device),
                "Edge": grpc.stream_stream_rpc_method_handler(self._edge),
            },
        )

    async def order(self, order: DeviceOrder) -> None:
        """Say it on every stream that is open."""
        await self.say(control.order_to_proto(order).SerializeToString())

    async def say(self, raw: bytes) -> None:
        for stream in self._streams:
            await stream.write(raw)

    async def until(self, holds: Callable[["FakeController"], bool]) -> None:
        """Once it has heard enough."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: holds(self)), PATIENCE)

    async def _enter(self, raw: bytes, _: Context) -> bytes:
        await self._note(self.entered, pb.EnterRequest.FromString(raw))
        return pb.EnterReply(controllers=self.controllers).SerializeToString()

    async def _device(self, _: object, context: Context) -> None:
        await self._listen(
            context, pb.DeviceFrame, control.device_hello_from_proto, control.device_report_from_proto, b""
        )

    async def _edge(self, _: object, context: Context) -> None:
        welcome = pb.EdgeOrder(epoch=7).SerializeToString()
        await self._listen(
            context, pb.EdgeFrame, control.edge_hello_from_proto, control.edge_report_from_proto, welcome
        )

    async def _listen(self, context: Context, kind: Any, hello: Any, report: Any, welcome: bytes) -> None:
        if self.refuses:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nobody of this name is wanted")
        while isinstance(raw := await context.read(), bytes):
            frame = kind.FromString(raw)
            if frame.WhichOneof("frame") == "hello":
                self._streams.append(context)
                if welcome:
                    await context.write(welcome)
                await self._note(self.hellos, hello(frame.hello))
            else:
                await self._note(self.reports, report(frame.report))
        self._streams.remove(context)
        self.left += 1
        await self._note([], None)

    async def _note(self, place: list[Any], item: Any) -> None:
        async with self._changed:
            place.append(item)
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def a_controller(
    controller: FakeController | None = None,
    *,
    address: str = "127.0.0.1:0",
    tls: ServerTls | None = None,
    beside: Sequence[grpc.GenericRpcHandler] = (),
) -> AsyncIterator[FakeController]:
    """Listens, with what else is served `beside` it, until the block ends; then it is gone at once, as after a kill."""
    controller = controller or FakeController()
    server = grpc.aio.server(options=server_options())
    server.add_generic_rpc_handlers((controller.handler(), *beside))
    controller.address = listen(server, parse_address(address, listen=True), tls)
    await server.start()
    try:
        yield controller
    finally:
        await server.stop(None)
