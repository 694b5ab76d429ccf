"""One gRPC stream to an edge, from its first frame to its last. Lives on the event loop.

    binds, requests, pings ──► outbox ──► write ──► edge ──► read ──► bound, answer, pong

Raw bytes cross gRPC: messages are built and parsed here, once, and what is no message gets a clear error.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from offramp.errors import LinkError, OfframpError, WireError
from offramp.records import Answer
from offramp.units import Seconds
from offramp.wire import status
from offramp.wire.convert import Binding, answer_from_proto, binding_to_proto, budget_to_proto
from offramp.wire.v1 import inference_pb2 as pb

log = logging.getLogger(__name__)

METHOD = "/offramp.wire.v1.Inference/Stream"
PING_BYTES = 10
"""Serialised, without padding."""

Frame = Callable[[], bytes | None]
"""Builds a frame when it is its turn, so that budgets are fresh; None when it has become pointless."""


class Ear(Protocol):
    """Who hears what the edge says."""

    def bound(self, ref: int, error: OfframpError | None) -> None: ...

    def answered(self, number: int, outcome: Answer | OfframpError) -> None: ...

    def ponged(self, number: int) -> None: ...


class EdgeStream:
    """Writes frames in the order in which they were pushed; reads until the edge ends it."""

    def __init__(self, channel: grpc.aio.Channel, ear: Ear) -> None:
        """The channel is closed with the stream."""
        self._channel: grpc.aio.Channel | None = channel
        self._call: grpc.aio.StreamStreamCall[bytes, bytes] | None = channel.stream_stream(METHOD)()
        self._ear = ear
        self._outbox: deque[Frame] = deque()
        self._writing: asyncio.Task[None] | None = None

    def push(self, frame: Frame) -> None:
        """Write it as soon as what was pushed before is written."""
        self._outbox.append(frame)
        if self._writing is None and self._call is not None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def listen(self) -> None:
        """Hear the edge out.

        Raises:
            OfframpError: Always, in the end: the link broke, the edge stopped, or it does not speak the protocol.
        """
        call = self._call
        assert call is not None
        try:
            while isinstance(raw := await call.read(), bytes):
                self._hear(raw)
            code, details = await call.code(), await call.details()  # grpc.aio.EOF
        except grpc.RpcError as error:
            raise status.from_rpc(error) from error
        ended = "the edge ended the stream"
        raise status.from_status(code, details or ended) if code.value[0] else LinkError(ended)

    async def close(self) -> None:
        """End the stream and its connection, which gRPC keeps for as long as anything refers to call or channel."""
        call, channel = self._call, self._channel
        self._call = self._channel = None
        self._outbox.clear()
        if self._writing is not None:
            self._writing.cancel()
        if call is not None and channel is not None:
            call.cancel()
            await channel.close()

    async def _write(self) -> None:
        call = self._call
        try:
            while self._outbox and call is not None:
                frame = self._outbox.popleft()()
                if frame is not None:
                    await call.write(frame)
        except (grpc.RpcError, asyncio.InvalidStateError):
            self._outbox.clear()  # the reader learns why, and tells
        finally:
            self._writing = None

    def _hear(self, raw: bytes) -> None:
        try:
            frame = pb.ServerFrame.FromString(raw)
        except DecodeError as error:
            raise WireError(f"these {len(raw)} bytes are not a frame of offramp.wire.v1; is it an edge?") from error
        kind = frame.WhichOneof("frame")
        if kind == "answer":
            answer = frame.answer
            outcome = status.from_proto(answer.error) if answer.HasField("error") else answer_from_proto(answer)
            self._ear.answered(answer.id, outcome)
        elif kind == "bound":
            bound = frame.bound
            self._ear.bound(bound.ref, status.from_proto(bound.error) if bound.HasField("error") else None)
        elif kind == "pong":
            self._ear.ponged(frame.pong.id)
        else:
            raise WireError("the edge sent an empty frame, or one of an unknown kind; check both versions")


def bind_frame(ref: int, binding: Binding) -> bytes:
    return pb.ClientFrame(bind=pb.Bind(ref=ref, binding=binding_to_proto(binding))).SerializeToString()


def request_frame(ref: int, number: int, budget: Seconds, payload: bytes, alive: bytes = b"") -> bytes:
    # Filled in place: a nested message that is passed to a constructor is copied, payload and all.
    frame = pb.ClientFrame()
    request = frame.request
    request.ref, request.id, request.budget_us, request.payload = ref, number, budget_to_proto(budget), payload
    if alive:
        request.alive = alive
    return frame.SerializeToString()


def ping_frame(number: int, padding: int = 0) -> bytes:
    return pb.ClientFrame(ping=pb.Ping(id=number, padding=bytes(padding))).SerializeToString()


def why_ended(error: BaseException | None) -> str:
    """gRPC's account of a failed connection ends with what the system said: that is what a person needs."""
    if not isinstance(error, OfframpError):
        log.error("the session with the edge failed; it begins afresh", exc_info=error)
        return "the session failed"
    _, failed, why = str(error).rpartition("Failed to connect to remote host: ")
    return why.lower() if failed else str(error)
