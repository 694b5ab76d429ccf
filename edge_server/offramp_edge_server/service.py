"""The Inference service: bytes in, bytes out; what they mean is checked here and in `stream`.

Messages are parsed here and not by gRPC, so that bytes which are no message get a clear error instead of a traceback.
"""

import asyncio
import logging
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from offramp.clock import Clock
from offramp.errors import LinkError, OfframpError, WireError
from offramp.records import Answer
from offramp.wire import status
from offramp.wire.convert import answer_to_proto, binding_from_proto, budget_from_proto
from offramp.wire.v1 import inference_pb2 as pb
from offramp_edge_server.meter import Meter
from offramp_edge_server.routes import Router
from offramp_edge_server.runner import Runner
from offramp_edge_server.stream import DeviceStream

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Inference"].full_name

M = TypeVar("M", bound=Message)
Context = grpc.aio.ServicerContext[bytes, bytes]


class InferenceService:
    """Keeps nothing of any client but its stream, while it lasts."""

    def __init__(self, router: Router, runner: Runner, meter: Meter, clock: Clock, *, max_pending: int) -> None:
        self._router = router
        self._runner = runner
        self._meter = meter
        self._clock = clock
        self._max_pending = max_pending
        self._stopping = asyncio.Event()
        self._streams = 0
        self._ended = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server is given."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Stream": grpc.stream_stream_rpc_method_handler(self.stream),
                "Infer": grpc.unary_unary_rpc_method_handler(self.infer),
                "Describe": grpc.unary_unary_rpc_method_handler(self.describe),
            },
        )

    async def drain(self) -> None:
        """Refuse what comes, finish what was taken, then end the streams."""
        await self._runner.drain()
        self._stopping.set()
        while self._streams:
            self._ended.clear()
            await self._ended.wait()

    async def stream(self, _: object, context: Context) -> None:
        """One device; the iterator of requests is not used, for its end cannot be told from a cancellation."""

        async def read() -> bytes | None:
            frame: object = await context.read()
            return frame if isinstance(frame, bytes) else None  # anything else is grpc.aio.EOF

        stream = DeviceStream(self._router, self._runner, self._meter, self._clock, max_pending=self._max_pending)
        self._streams += 1
        try:
            if await stream.serve(read, context.write, self._stopping):
                return
            error: Exception = LinkError("the edge is stopping; ask another one, or come back")
        except Exception as raised:
            error = raised
        finally:
            self._streams -= 1
            self._ended.set()
        await self._abort(context, error)

    async def infer(self, raw: bytes, context: Context) -> bytes:
        arrived = self._clock.now()
        owner = object()
        try:
            request = _parse(pb.InferRequest, raw)
            route = await self._router.open(binding_from_proto(request.binding))
            waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            budget = budget_from_proto(request.budget_us)
            self._runner.submit(
                route,
                request.payload,
                budget,
                arrived,
                lambda outcome: _settle(waiting, outcome),
                owner,
                request.alive,
            )
            route.tally.requested(len(raw))
            answer = await waiting
        except asyncio.CancelledError:
            self._runner.leave(owner)
            raise
        except Exception as error:
            return await self._abort(context, error)
        reply = answer_to_proto(0, answer).SerializeToString()
        route.tally.answered(len(reply), answer)
        return reply

    async def describe(self, raw: bytes, context: Context) -> bytes:
        try:
            _parse(pb.DescribeRequest, raw)
        except WireError as error:
            return await self._abort(context, error)
        return pb.DescribeReply(
            bundles=[
                pb.Served(
                    model_digest=bytes.fromhex(digest),
                    name=tail.manifest.name,
                    cuts=[cut.name for cut in tail.manifest.cuts],
                )
                for digest, tail in self._router.tails.items()
            ]
        ).SerializeToString()

    async def _abort(self, context: Context, error: Exception) -> bytes:
        if not isinstance(error, OfframpError):
            log.error("answered with INTERNAL", exc_info=error)
        self._meter.refused(type(error).__name__)
        await context.abort(*status.to_status(error))
        raise AssertionError("abort raises")


def _parse(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise WireError(f"these {len(raw)} bytes are not a {name}; check the versions of both ends") from error


def _settle(waiting: "asyncio.Future[Answer]", outcome: Answer | Exception) -> None:
    if waiting.done():  # its client has left
        return
    if isinstance(outcome, Exception):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)
