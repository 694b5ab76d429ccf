"""The Control service around one controller: bytes in, bytes out, and a tick every second.

Enter ──► who takes care of a name (right here, unless somebody knows better)
Device ─► hello, report, report … ─► controller ─► orders, written on the streams of the devices that they are for
Edge ───► hello, report, report … ─┘

A report costs one read, one parse and one look-up: no task, no timer, no lock. Messages are parsed here and not by
gRPC, so that bytes which are no message get a clear error instead of a traceback.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from offramp.clock import Clock
from offramp.errors import LinkError, OfframpError, WireError
from offramp.units import Seconds
from offramp.wire import status
from offramp.wire.calling import SERVICE
from offramp.wire.control import device_hello_from_proto, edge_hello_from_proto, edge_report_from_proto, order_to_proto
from offramp.wire.v1 import control_pb2 as pb
from offramp_orchestrator.controller import Controller, Orders
from offramp_orchestrator.stream import Context, Stream

log = logging.getLogger(__name__)

TICK = Seconds(1.0)
RIGHT_HERE = ("",)

Enter = Callable[[str, bool], Sequence[str]]
"""(Name, whether it is an edge) to the addresses of its controllers; raises LinkError when it should come back."""
M = TypeVar("M", bound=Message)


def right_here(_name: str, _edge: bool) -> Sequence[str]:
    """Where there is one controller, and this is it."""
    return RIGHT_HERE


class ControlService:
    """Lives on one event loop, from `start` to `stop`."""

    def __init__(self, controller: Controller, clock: Clock, enter: Enter = right_here) -> None:
        self._controller = controller
        self._clock = clock
        self._enter = enter
        self._devices: dict[str, Stream] = {}
        self._edges: dict[str, Stream] = {}
        self._streams: set[Stream] = set()
        self._ended = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None
        self._stopping = False

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server is given."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Enter": grpc.unary_unary_rpc_method_handler(self.enter),
                "Device": grpc.stream_stream_rpc_method_handler(self.device),
                "Edge": grpc.stream_stream_rpc_method_handler(self.edge),
            },
        )

    async def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """End every stream with a status that makes callers come back later; what is being written is written."""
        self._stopping = True
        if self._ticking is not None:
            self._ticking.cancel()
        for stream in self._streams:
            stream.end(LinkError("the orchestrator is stopping; keep the plan, and come back later"))
        while self._streams:
            self._ended.clear()
            await self._ended.wait()

    async def enter(self, raw: bytes, context: Context) -> bytes:
        try:
            request = _parse(pb.EnterRequest, raw)
            return pb.EnterReply(controllers=self._enter(request.name, request.edge)).SerializeToString()
        except Exception as error:
            return await _abort(context, error)

    async def device(self, _: object, context: Context) -> None:
        """One device; the iterator of requests is not used, for its end cannot be told from a cancellation."""
        await self._serve(context, self._hear_device, self._devices, self._device_left)

    async def edge(self, _: object, context: Context) -> None:
        await self._serve(context, self._hear_edge, self._edges, self._edge_left)

    async def _serve(
        self,
        context: Context,
        hear: Callable[[Stream, bytes], None],
        named: dict[str, Stream],
        left: Callable[[str, str], None],
    ) -> None:
        """One stream to its end: whatever it says is heard, in order."""
        stream = Stream(context)
        self._streams.add(stream)
        error: Exception | None = None
        try:
            if self._stopping:
                raise LinkError("the orchestrator is stopping; come back later")
            while isinstance(raw := await context.read(), bytes):
                hear(stream, raw)
        except asyncio.CancelledError:
            if stream.error is None:  # its caller has vanished
                raise
            error = stream.error
        except Exception as raised:
            error = raised
        finally:
            self._streams.discard(stream)
            self._ended.set()
            if named.get(stream.name) is stream:
                del named[stream.name]
                if not self._stopping:
                    left(stream.name, str(error) if isinstance(error, OfframpError) else "")
        if error is not None:
            await stream.written()
            await _abort(context, error)

    def _hear_device(self, stream: Stream, raw: bytes) -> None:
        frame = _parse(pb.DeviceFrame, raw)
        now = self._clock.now()
        if frame.HasField("report"):
            if not stream.name:
                raise WireError("a report came before the hello; say who it is about first")
            orders = self._controller.device_reported(stream.name, frame.report, now)
        elif frame.HasField("hello"):
            hello = device_hello_from_proto(frame.hello)
            _call(stream, hello.name, self._devices, "device")
            orders = self._controller.device_joined(hello, now)
        else:
            raise WireError("a frame has neither a hello nor a report; check both versions")
        if orders:
            self._send(orders)

    def _hear_edge(self, stream: Stream, raw: bytes) -> None:
        frame = _parse(pb.EdgeFrame, raw)
        now = self._clock.now()
        if frame.HasField("report"):
            if not stream.name:
                raise WireError("a report came before the hello; say who it is about first")
            orders = self._controller.edge_reported(stream.name, edge_report_from_proto(frame.report), now)
        elif frame.HasField("hello"):
            hello = edge_hello_from_proto(frame.hello)
            _call(stream, hello.name, self._edges, "edge")
            orders = self._controller.edge_joined(hello, now)
            stream.send(pb.EdgeOrder(epoch=self._controller.epoch).SerializeToString())
        else:
            raise WireError("a frame has neither a hello nor a report; check both versions")
        self._send(orders)

    def _device_left(self, name: str, why: str) -> None:
        self._controller.device_left(name, why)

    def _edge_left(self, name: str, why: str) -> None:
        self._send(self._controller.edge_left(name, self._clock.now(), why))

    def _send(self, orders: Orders) -> None:
        for name, order in orders:
            if (stream := self._devices.get(name)) is not None:
                stream.send(order_to_proto(order).SerializeToString())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                self._send(self._controller.tick(self._clock.now()))
            except Exception:  # the next one may be better, and nobody else says things again
                log.exception("a tick failed")


def _call(stream: Stream, name: str, named: dict[str, Stream], kind: str) -> None:
    """From now on this stream is the one of that name."""
    if stream.name not in ("", name):
        raise WireError(f"the {kind} {stream.name!r} says it is {name!r} now; open another stream for another name")
    before = named.get(name)
    stream.name, named[name] = name, stream
    if before is not None and before is not stream:
        before.end(WireError(f"another {kind} came by the name {name!r}; give each its own name"))


def _parse(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise WireError(f"these {len(raw)} bytes are not a {name}; check the versions of both ends") from error


async def _abort(context: Context, error: Exception) -> bytes:
    if not isinstance(error, OfframpError):
        log.error("answered with INTERNAL", exc_info=error)
    with contextlib.suppress(asyncio.CancelledError):
        await context.abort(*status.to_status(error))
    raise AssertionError("abort raises")
