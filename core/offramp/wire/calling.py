"""The caller's end of the control plane: one stream with each controller that takes care of it, kept alive.

    Enter ─► addresses ─► a stream with each ─► hello, report, report …     all on one event loop
      ▲                         └──────────◄─── order …
      └── a pause that grows ◄── it broke

Devices and edges share it; what differs is a `Dialect`. Nothing is kept for a controller that is away: a hello says all
that it has to know, and is built anew for each connection.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from offramp.errors import InputError, LinkError, OfframpError, WireError
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeHello, EdgeReport
from offramp.units import Seconds
from offramp.wire import control, status
from offramp.wire.address import Address, parse_address
from offramp.wire.channels import FIRST_BACKOFF, LAST_BACKOFF, open_aio_channel
from offramp.wire.tls import ClientTls
from offramp.wire.v1 import control_pb2 as pb

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Control"].full_name
PERIOD = Seconds(1.0)
"""Between two reports."""
REFRESH = Seconds(3.0)
"""Between two questions which controllers there are, where all are to be told."""
ENTER_TIMEOUT = Seconds(3.0)
SETTLED = Seconds(1.0)
"""A stream that lasted this long, or on which something was said, is a connection; a shorter one was an attempt."""
JITTER = 0.2
"""Of a pause: a thousand devices that lost one controller do not come back in one moment."""
MAX_UNWRITTEN = 8
"""Reports that wait for a controller that does not read; the oldest leaves."""

H = TypeVar("H")  # hello
R = TypeVar("R")  # report
O = TypeVar("O")  # order  # noqa: E741


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(Generic[H, R, O]):
    """How one kind of caller speaks with controllers."""

    method: str
    """Of its streams."""
    edge: bool
    """It is an edge, and keeps a stream with all controllers instead of one."""
    hello: Callable[[H], Message]
    report: Callable[[R], Message]
    order: Callable[[bytes], O]


DEVICE: Dialect[DeviceHello, DeviceReport, DeviceOrder] = Dialect(
    method="Device",
    edge=False,
    hello=control.device_hello_to_proto,
    report=control.device_report_to_proto,
    order=lambda raw: control.order_from_proto(pb.DeviceOrder.FromString(raw)),
)
EDGE: Dialect[EdgeHello, EdgeReport, int] = Dialect(
    method="Edge",
    edge=True,
    hello=control.edge_hello_to_proto,
    report=control.edge_report_to_proto,
    order=lambda raw: int(pb.EdgeOrder.FromString(raw).epoch),  # its whole meaning: welcome, in this epoch
)


class ControlLink(Generic[H, R, O]):
    """Opened on an event loop, closed there; an async context manager. All callbacks are called on that loop."""

    def __init__(
        self,
        dialect: Dialect[H, R, O],
        address: Address,
        name: str,
        *,
        hello: Callable[[], H],
        report: Callable[[], R],
        order: Callable[[O], None],
        tls: ClientTls | None = None,
        period: Seconds = PERIOD,
        refresh: Seconds = REFRESH,
        meanwhile: str = "going on without it",
        tell: Callable[[str], None] = lambda _message: None,
    ) -> None:
        """
        Args:
            dialect: DEVICE or EDGE.
            address: Of the orchestrator: who is asked for controllers.
            name: Of the caller, as in its hello.
            hello: Built for each stream, when it is connected.
            report: Built once a period and after each nudge, while there is a stream; all controllers get the same.
            order: Hears each order.
            tls: None is plain text; the same for the orchestrator and its controllers.
            period: Between two reports.
            refresh: Between two questions which controllers there are; an edge's alone.
            meanwhile: What the caller does while there is no controller; part of what people are told.
            tell: Hears what changed, for people, each thing once.
        """
        self.address = address
        self._dialect = dialect
        self._name = name
        self._hello = hello
        self._report = report
        self._order = order
        self._tls = tls
        self._period = period
        self._refresh = refresh if dialect.edge else None
        self._meanwhile = meanwhile
        self._tell = tell
        self._told = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._talks: dict[Address, asyncio.Task[str]] = {}
        self._outboxes: dict[Address, _Outbox] = {}
        self._nudged = asyncio.Event()
        self._pause = FIRST_BACKOFF
        self._leaving = False

    @property
    def controllers(self) -> tuple[Address, ...]:
        """Those with whom there is a stream now."""
        return tuple(self._outboxes)

    async def open(self) -> None:
        """Begin; returns before anybody is reached.

        Raises:
            InputError: A TLS file is not what it should be.
        """
        if self._tls is not None:
            self._tls.credentials()  # so that a wrong file is an error here, and not one more lost link
        self._loop = asyncio.get_running_loop()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End at once, whatever is under way."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def leave(self, patience: Seconds = Seconds(0.5)) -> None:
        """Report once more, wait until the controllers have read it or `patience` is over, and close."""
        self._leaving = True
        self._report_now()
        for outbox in self._outboxes.values():
            outbox.finish()
        if talks := [self._talks[address] for address in self._outboxes if address in self._talks]:
            await asyncio.wait(talks, timeout=patience)
        await self.close()

    async def __aenter__(self) -> "ControlLink[H, R, O]":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def nudge(self) -> None:
        """Report now, and not at the end of the period; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._nudged.set)

    async def _keep(self) -> None:
        reporting = asyncio.create_task(self._report_each_period())
        try:
            while True:
                if not await self._begin() or await self._someone_left():
                    await asyncio.sleep(self._pause * random.uniform(1 - JITTER, 1 + JITTER))
                    self._pause = min(Seconds(2 * self._pause), LAST_BACKOFF)
        finally:
            tasks = (reporting, *self._talks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._talks.clear()

    async def _begin(self) -> bool:
        """Ask who the controllers are, talk with those that are new, stop talking with those that are none any more."""
        try:
            controllers = await self._enter()
        except OfframpError as error:
            if not self._outboxes:  # while there are streams, it matters to nobody that the door does not open
                self._tell_once(f"no orchestrator at {self.address}: {_plain(error)}; {self._meanwhile}, trying again")
            await self._someone_left(Seconds(0.0))
            return False
        gone = [self._talks.pop(address) for address in set(self._talks) - set(controllers)]
        for talk in gone:
            talk.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        for address in controllers:
            if address not in self._talks:
                self._talks[address] = asyncio.create_task(self._talk(address))
        return True

    async def _enter(self) -> Sequence[Address]:
        request = pb.EnterRequest(name=self._name, edge=self._dialect.edge).SerializeToString()
        async with open_aio_channel(self.address, self._tls) as channel:
            try:
                enter: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Enter")
                raw = await enter(request, timeout=ENTER_TIMEOUT)
                found = pb.EnterReply.FromString(raw).controllers
                addresses = [parse_address(text) if text else self.address for text in found]
            except grpc.RpcError as error:
                raise status.from_rpc(error) from error
            except (DecodeError, InputError) as error:
                raise WireError(f"it does not answer as an orchestrator does ({error}); check the address") from error
        if not addresses:
            raise LinkError("it has no controller yet")
        return addresses if self._dialect.edge else addresses[:1]

    async def _someone_left(self, patience: Seconds | None = None) -> bool:
        """Once a stream has ended, or it is time to ask for controllers again; whether one has ended."""
        timeout = self._refresh if patience is None else patience
        if self._talks:
            await asyncio.wait(self._talks.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        ended = [address for address, talk in self._talks.items() if talk.done()]
        for address in ended:
            reason = self._talks.pop(address).result()
            self._tell_once(f"lost the controller at {address}: {reason}; {self._meanwhile}, trying again")
        return bool(ended)

    async def _talk(self, address: Address) -> str:
        """One stream to its end, on a channel of its own, so that no back-off of gRPC's delays the next; says why."""
        channel = open_aio_channel(address, self._tls)
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{self._dialect.method}")()
        outbox = _Outbox()
        writing: asyncio.Task[None] | None = None
        settling: asyncio.TimerHandle | None = None
        try:
            await call.wait_for_connection()
            await call.write(self._dialect.hello(self._hello()).SerializeToString())
            self._outboxes[address] = outbox
            writing = asyncio.create_task(outbox.write(call))
            settling = asyncio.get_running_loop().call_later(SETTLED, self._settled)
            await self._listen(call)
        except grpc.RpcError as error:
            return _plain(status.from_rpc(error))
        except OfframpError as error:
            return _plain(error)
        except Exception:  # what a callback does must not end the link for ever
            log.exception("the talk with the controller at %s failed; it begins afresh", address)
            return "the talk failed"
        finally:
            self._outboxes.pop(address, None)
            if settling is not None:
                settling.cancel()
            if writing is not None:
                writing.cancel()
            call.cancel()
            await channel.close()
        return "it ended the stream"

    async def _listen(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        while isinstance(raw := await call.read(), bytes):
            try:
                order = self._dialect.order(raw)
            except DecodeError as error:
                raise WireError(f"these {len(raw)} bytes are no order; check both versions") from error
            self._settled()
            self._order(order)
        code, details = await call.code(), await call.details()  # grpc.aio.EOF
        if code.value[0]:
            raise status.from_status(code, details)

    def _settled(self) -> None:
        self._pause = FIRST_BACKOFF
        self._tell_once(f"connected to the orchestrator at {self.address}")

    async def _report_each_period(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), self._period)
            self._nudged.clear()
            self._report_now()

    def _report_now(self) -> None:
        if not self._outboxes:  # what happens meanwhile is for the next report, or for the hello
            return
        try:
            frame = self._dialect.report(self._report()).SerializeToString()
        except Exception:  # the next one may be better
            log.exception("a report could not be made; this one is left out")
            return
        for outbox in self._outboxes.values():
            outbox.push(frame)

    def _tell_once(self, message: str) -> None:
        if message != self._told and not self._leaving:
            self._told = message
            self._tell(message)


class _Outbox:
    """Frames that one stream is still to write."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=MAX_UNWRITTEN)
        self._changed = asyncio.Event()
        self._finished = False

    def push(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._changed.set()

    def finish(self) -> None:
        """Nothing comes after what was pushed."""
        self._finished = True
        self._changed.set()

    async def write(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        """Whatever is pushed, until it is finished or the stream ends."""
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):  # the reader learns why, and tells
            while not self._finished or self._frames:
                while self._frames:
                    await call.write(self._frames.popleft())
                self._changed.clear()
                if not self._finished:
                    await self._changed.wait()
            await call.done_writing()


def _plain(error: OfframpError) -> str:
    """gRPC's account of a failed connection ends with what the system said: that is what a person needs."""
    _, failed, why = str(error).rpartition("Failed to connect to remote host: ")
    return why.lower() if failed else str(error)
