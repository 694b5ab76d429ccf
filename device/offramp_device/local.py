"""The local service: programs on the same machine submit samples, and plans, to a running daemon.

Submit ──► intake ──► … ──► Result ──► reply         Adopt ──► opened and warmed ──► swapped in ──► reply
"""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any, NoReturn

import grpc
import grpc.aio
import numpy as np

from offramp.data.images import read_image
from offramp.errors import DataError, OfframpError, OverloadedError
from offramp.records import Answered, Array, Result, Revision, Sample
from offramp.wire import status
from offramp.wire.address import Address
from offramp.wire.channels import listen, server_options
from offramp.wire.v1 import local_pb2 as pb
from offramp_device.device import Device
from offramp_device.loop import LoopThread
from offramp_device.report import label_name

SERVICE = pb.DESCRIPTOR.services_by_name["Local"].full_name

Context = grpc.aio.ServicerContext[pb.SubmitRequest, pb.SubmitReply]
Arrive = Callable[[Sample], bool]
"""Takes a sample in; False when it was rejected, which its Result says too."""


class LocalService:
    """Listens until it is closed; a context manager."""

    def __init__(self, address: Address, device: Device, arrive: Arrive, *, taken: str) -> None:
        """`taken` is the stream of the daemon's own source, which no program may use."""
        self.address = address
        self._device = device
        self._arrive = arrive
        self._taken = taken
        self._sockets = LoopThread()
        self._server: grpc.aio.Server | None = None
        self._numbers = count()
        self._waiting: dict[tuple[str, int], Future[Result]] = {}

    def __enter__(self) -> "LocalService":
        self._sockets.__enter__()
        try:
            self.address = self._sockets.spawn(self._start()).result()
        except BaseException:
            self._sockets.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._sockets.spawn(self._server.stop(grace=0.5)).result()
        self._sockets.__exit__()

    def settle(self, result: Result) -> None:
        """A Result of the daemon; most are nobody's here."""
        waiting = self._waiting.pop((result.stream, result.index), None)
        if waiting is not None:
            waiting.set_result(result)

    async def _start(self) -> Address:
        server = self._server = grpc.aio.server(options=server_options())
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Submit": grpc.unary_unary_rpc_method_handler(
                self._submit, pb.SubmitRequest.FromString, pb.SubmitReply.SerializeToString
            ),
            "Adopt": grpc.unary_unary_rpc_method_handler(
                self._adopt, pb.AdoptRequest.FromString, pb.AdoptReply.SerializeToString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        address = listen(server, self.address)
        await server.start()
        return address

    async def _submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitReply:
        arrival = self._device.clock.now()
        try:
            stream = request.stream or f"local {context.peer()}"
            if stream == self._taken:
                raise DataError(f"the stream {stream!r} is that of the device's own source; choose another name")
            # In a thread: decoding a picture takes a millisecond, which an answer of the edge shall not wait for.
            data = await asyncio.to_thread(self._read, request)
        except OfframpError as error:
            await _refuse(context, error)
        sample = Sample(stream=stream, index=next(self._numbers), data=data, arrival=arrival)
        waiting = self._waiting[(stream, sample.index)] = Future()
        waiting.set_running_or_notify_cancel()  # a client that leaves cannot take the Result from under `settle`
        arrived = self._arrive(sample)
        result = await asyncio.wrap_future(waiting)
        if not arrived:
            await _refuse(context, OverloadedError(result.reason))
        return _reply(result, self._device.manifest.labels)

    async def _adopt(self, request: pb.AdoptRequest, context: Context) -> pb.AdoptReply:
        revision = Revision(request.epoch, request.counter)
        try:
            plan = await asyncio.to_thread(self._device.adopt, request.plan, revision)
        except OfframpError as error:
            await _refuse(context, error)
        return pb.AdoptReply(plan=str(plan), epoch=plan.revision.epoch, counter=plan.revision.counter)

    def _read(self, request: pb.SubmitRequest) -> Array:
        spec = self._device.manifest.sample
        kind = request.WhichOneof("sample")
        if kind == "image" and spec.kind == "image":
            return read_image(io.BytesIO(request.image), spec.shape)
        dtype = np.dtype(spec.dtype).newbyteorder("<")
        expected = dtype.itemsize * int(np.prod(spec.shape))
        if kind != "raw" or len(request.raw) != expected:
            given = f"{len(request.raw)} bytes" if kind == "raw" else f"{kind or 'no sample'}"
            raise DataError(
                f"{given} came; submit raw, {expected} bytes: {spec.dtype} {list(spec.shape)} in C order, little-endian"
                + (", or image: a picture file" if spec.kind == "image" else "")
            )
        array: Array = np.frombuffer(request.raw, dtype).reshape(spec.shape).astype(spec.dtype, copy=False)
        return array


async def _refuse(context: "grpc.aio.ServicerContext[Any, Any]", error: OfframpError) -> NoReturn:
    await context.abort(*status.to_status(error))
    raise AssertionError("abort raises")


def _reply(result: Result, labels: tuple[str, ...]) -> pb.SubmitReply:
    rejected = result.answered is Answered.REJECTED
    return pb.SubmitReply(
        stream=result.stream,
        index=result.index,
        answered=result.answered.value,
        label=-1 if result.label is None else result.label,
        label_name=label_name(result.label, labels) or "",
        confidence=0.0 if rejected else result.confidence,
        latency=result.latency,
        exit=-1 if result.exit is None else result.exit,
        payload_bytes=result.payload_bytes,
        wire_bytes=result.wire_bytes,
        reason=result.reason,
        revision=str(result.revision),
    )
