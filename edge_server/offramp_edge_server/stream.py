"""One device's stream: what was bound on it, what it waits for, what is still to be written to it.

    frames ─► read ─► Bind ───► references ┐
                  ├─► Request ─► pending ──┴─► runner ─► Answer ┐
                  └─► Ping ─► Pong ─────────────────────────────┴─► outbox ─► write ─► frames

All state of a device at the edge is here, and dies with the stream.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from offramp.clock import Clock
from offramp.errors import OfframpError, OverloadedError, WireError
from offramp.records import Answer
from offramp.units import Seconds
from offramp.wire import status
from offramp.wire.convert import answer_to_proto, binding_from_proto, budget_from_proto
from offramp.wire.v1 import inference_pb2 as pb
from offramp_edge_server.meter import Meter
from offramp_edge_server.routes import Route, Router
from offramp_edge_server.runner import Runner

log = logging.getLogger(__name__)

MAX_REFERENCES = 64
"""References that a stream keeps; binding one more forgets the one used longest ago. A device needs two at a time."""
MAX_UNREAD = 256
"""Frames that wait to be written to a device which does not read; past that its own frames are not read either."""

Read = Callable[[], Awaitable[bytes | None]]
"""The next frame, or None when the device has finished."""
Write = Callable[[bytes], Awaitable[None]]


class DeviceStream:
    """Serves one stream from its first frame to its last."""

    def __init__(self, router: Router, runner: Runner, meter: Meter, clock: Clock, *, max_pending: int) -> None:
        self._router = router
        self._runner = runner
        self._meter = meter
        self._clock = clock
        self._max_pending = max_pending
        self._routes: OrderedDict[int, Route] = OrderedDict()
        self._opening: dict[int, asyncio.Task[Route | Exception]] = {}
        self._pending: set[int] = set()
        self._answered = asyncio.Event()
        self._outbox: deque[bytes] = deque()
        self._unwritten = asyncio.Event()
        self._written = asyncio.Event()
        self._asleep = False  # whether the writer may sleep on
        self._writing = False

    async def serve(self, read: Read, write: Write, stopping: asyncio.Event) -> bool:
        """Until the device has finished and has all its answers (True), or the server stops (False).

        Raises:
            WireError: A frame is not one of the protocol.
        """
        reading = asyncio.create_task(self._read(read, write))
        writing = asyncio.create_task(self._write(write))
        stop = asyncio.create_task(stopping.wait())
        self._runner.join(self)
        self._meter.streams(1)
        try:
            await asyncio.wait({reading, writing, stop}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            if writing.done():
                writing.result()
            await self._all_answered()
            await self._all_written()
            return reading.done()
        finally:
            self._runner.leave(self)
            self._meter.streams(-1)
            tasks = (reading, writing, stop, *self._opening.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, read: Read, write: Write) -> None:
        while (raw := await read()) is not None:
            arrived = self._clock.now()
            try:
                frame = pb.ClientFrame.FromString(raw)
            except DecodeError as error:
                raise WireError(
                    f"these {len(raw)} bytes are not a frame of offramp.wire.v1; check both versions"
                ) from error
            await self._handle(frame, arrived, len(raw))
            await self._flush(write)
            while len(self._outbox) > MAX_UNREAD:
                self._written.clear()
                await self._written.wait()

    async def _handle(self, frame: pb.ClientFrame, arrived: Seconds, nbytes: int) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "request":
            await self._request(frame.request, arrived, nbytes)
        elif kind == "bind":
            self._bind(frame.bind)
        elif kind == "ping":
            self._send(pb.ServerFrame(pong=pb.Pong(id=frame.ping.id)))
        else:
            raise WireError("a frame is empty, or of a kind that this edge does not know; check both versions")

    async def _write(self, write: Write) -> None:
        while True:
            await self._unwritten.wait()
            self._unwritten.clear()
            await self._flush(write)

    async def _flush(self, write: Write) -> None:
        if self._writing:  # gRPC takes one frame at a time; whoever writes goes on until nothing is left
            return
        self._writing = True
        try:
            while self._outbox:
                await write(self._outbox.popleft())
                self._written.set()
        finally:
            self._writing = False

    async def _all_written(self) -> None:
        while self._outbox or self._writing:
            self._written.clear()
            await self._written.wait()

    async def _all_answered(self) -> None:
        await asyncio.gather(*self._opening.values())
        while self._pending:
            self._answered.clear()
            await self._answered.wait()

    def _bind(self, bind: pb.Bind) -> None:
        if bind.ref in self._routes or bind.ref in self._opening:
            self._bound(bind.ref, WireError(f"reference {bind.ref} is bound already; choose an unused one"))
        elif len(self._opening) >= MAX_REFERENCES:
            self._bound(bind.ref, OverloadedError(f"{MAX_REFERENCES} references are being opened; wait for them first"))
        else:
            # Opening a segment takes 40 ms and more; requests under other references go on meanwhile.
            self._opening[bind.ref] = asyncio.create_task(self._open(bind))

    async def _open(self, bind: pb.Bind) -> Route | Exception:
        outcome: Route | Exception
        try:
            outcome = self._routes[bind.ref] = await self._router.open(binding_from_proto(bind.binding))
        except Exception as error:  # one bad binding does not end the stream
            outcome = error
        del self._opening[bind.ref]
        while len(self._routes) > MAX_REFERENCES:
            self._routes.popitem(last=False)
        self._bound(bind.ref, outcome if isinstance(outcome, Exception) else None)
        return outcome

    async def _request(self, request: pb.Request, arrived: Seconds, nbytes: int) -> None:
        identity = request.id
        try:
            route = await self._route(request.ref)
            if identity in self._pending:
                raise WireError(f"request {identity} is still being answered; give every request an id of its own")
            if len(self._pending) >= self._max_pending:
                raise OverloadedError(f"{self._max_pending} requests of this stream are unanswered; ask fewer at once")
            budget = budget_from_proto(request.budget_us)
            outcome = self._runner.at_once(route, request.payload, budget, arrived, request.alive)
            if outcome is None:
                self._runner.submit(
                    route,
                    request.payload,
                    budget,
                    arrived,
                    lambda outcome: self._answer(identity, route, outcome),
                    self,
                    request.alive,
                )
        except Exception as error:  # one bad request does not end the stream
            self._refuse(identity, error)
            return
        route.tally.requested(nbytes)
        if outcome is None:
            self._pending.add(identity)
        else:
            # Written by the reader, which is about to: waking the writer would cost a turn of the event loop.
            self._asleep = True
            self._answer(identity, route, outcome)
            self._asleep = False

    async def _route(self, ref: int) -> Route:
        route = self._routes.get(ref)
        if route is None:
            # A device need not wait for Bound before its first request: only the order counts.
            opening = self._opening.get(ref)
            if opening is None:
                raise WireError(f"reference {ref} is not bound on this stream; bind it first")
            outcome = await opening
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        self._routes.move_to_end(ref)
        return route

    def _answer(self, identity: int, route: Route, outcome: Answer | Exception) -> None:
        self._pending.discard(identity)
        self._answered.set()
        if isinstance(outcome, Exception):
            self._refuse(identity, outcome)
            return
        nbytes = self._send(pb.ServerFrame(answer=answer_to_proto(identity, outcome)))
        route.tally.answered(nbytes, outcome)

    def _refuse(self, identity: int, error: Exception) -> None:
        self._send(pb.ServerFrame(answer=pb.Answer(id=identity, error=self._error(error))))

    def _bound(self, ref: int, error: Exception | None) -> None:
        self._send(pb.ServerFrame(bound=pb.Bound(ref=ref, error=None if error is None else self._error(error))))

    def _error(self, error: Exception) -> pb.Error:
        if not isinstance(error, OfframpError):
            log.error("answered with INTERNAL", exc_info=error)
        message = status.to_proto(error)
        self._meter.refused(type(error).__name__)
        return message

    def _send(self, frame: pb.ServerFrame) -> int:
        raw = frame.SerializeToString()
        self._outbox.append(raw)
        if not self._asleep:
            self._unwritten.set()
        return len(raw)
