"""A served bundle, a device's side of the stream, and a model that waits to be let go."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.plan import NO_EXIT, ExitRule, Plan, via_of
from offramp.records import Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.runtime import Runtime, Segment, SegmentOutputs
from offramp.tail import Tail
from offramp.units import Seconds
from offramp.wire.channels import open_aio_channel
from offramp.wire.convert import Binding, bind, binding_to_proto, budget_to_proto
from offramp.wire.v1 import inference_pb2 as pb
from offramp_edge_server.server import EdgeServer
from offramp_edge_server.settings import EdgeSettings

SERVICE = "/offramp.wire.v1.Inference"
PATIENCE = 20.0  # seconds: only a bug takes longer
Call = grpc.aio.StreamStreamCall[bytes, bytes]


class Gate(contextlib.AbstractContextManager["Gate"]):
    """Runtimes whose model calls wait until the gate opens; counts the batches that went through."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self._may_pass = threading.Event()
        self.entered = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.open()

    def open(self) -> None:
        self._may_pass.set()

    def runtime(self, bundle: Bundle) -> Runtime:
        return _GatedRuntime(self, OnnxRuntime(bundle))

    async def busy(self) -> None:
        """Once a model call waits at the gate."""
        await asyncio.to_thread(self.entered.wait, PATIENCE)
        assert self.entered.is_set()

    def passing(self, batch: int) -> None:
        self.batches.append(batch)
        self.entered.set()
        assert self._may_pass.wait(PATIENCE)


class _GatedRuntime:
    def __init__(self, gate: Gate, inner: Runtime) -> None:
        self._gate = gate
        self._inner = inner

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> Segment:
        return _GatedSegment(self._gate, self._inner.open(start, stop, branch=branch, via=via))

    def close(self) -> None:
        self._gate.open()
        self._inner.close()


class _GatedSegment:
    def __init__(self, gate: Gate, inner: Segment) -> None:
        self._gate = gate
        self._inner = inner
        self.spec = inner.spec

    def run(self, feature: Feature) -> SegmentOutputs:
        self._gate.passing(len(feature[0]))
        return self._inner.run(feature)


class FailingRuntime:
    """Opens, and then fails on every call."""

    def __init__(self, bundle: Bundle) -> None:
        self._inner = OnnxRuntime(bundle)

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> Segment:
        segment = self._inner.open(start, stop, branch=branch, via=via)

        class Failing:
            spec = segment.spec

            def run(self, feature: Feature) -> SegmentOutputs:
                raise RuntimeError("the accelerator is on fire in /secret/place")

        return Failing()

    def close(self) -> None:
        self._inner.close()


@contextlib.asynccontextmanager
async def serving(
    *bundles: Bundle, open_runtime: Callable[[Bundle], Runtime] | None = None, **settings: Any
) -> AsyncIterator[EdgeServer]:
    server = EdgeServer(bundles, EdgeSettings(listen="127.0.0.1:0", **settings), open_runtime=open_runtime)
    async with server:
        yield server


class DeviceSide:
    """One stream, as a device sees it: what is sent, and answers by id."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def write(self, frame: pb.ClientFrame | bytes) -> None:
        await self._call.write(frame if isinstance(frame, bytes) else frame.SerializeToString())

    async def read(self) -> pb.ServerFrame:
        raw = await asyncio.wait_for(self._call.read(), PATIENCE)
        if not isinstance(raw, bytes):
            raise EOFError
        return pb.ServerFrame.FromString(raw)

    async def bind(self, binding: Binding, ref: int = 1) -> pb.Bound:
        await self.write(pb.ClientFrame(bind=pb.Bind(ref=ref, binding=binding_to_proto(binding))))
        frame = await self.read()
        assert frame.WhichOneof("frame") == "bound"
        assert frame.bound.ref == ref
        return frame.bound

    async def request(
        self,
        payload: bytes,
        *,
        ref: int = 1,
        id: int = 1,  # noqa: A002
        budget: float | None = None,
        alive: bytes = b"",
    ) -> None:
        budget_us = budget_to_proto(None if budget is None else Seconds(budget))
        request = pb.Request(ref=ref, id=id, budget_us=budget_us, payload=payload, alive=alive)
        await self.write(pb.ClientFrame(request=request))

    async def answer(self) -> pb.Answer:
        frame = await self.read()
        assert frame.WhichOneof("frame") == "answer"
        return frame.answer

    async def answers(self, count: int) -> dict[int, pb.Answer]:
        found = [await self.answer() for _ in range(count)]
        return {answer.id: answer for answer in found}

    async def finish(self) -> None:
        await self._call.done_writing()

    async def code(self) -> grpc.StatusCode:
        return await asyncio.wait_for(self._call.code(), PATIENCE)

    async def details(self) -> str:
        return await self._call.details()

    def vanish(self) -> None:
        self._call.cancel()


@contextlib.asynccontextmanager
async def device_side(server: EdgeServer) -> AsyncIterator[DeviceSide]:
    async with open_aio_channel(server.address) as channel:
        call: Call = channel.stream_stream(f"{SERVICE}/Stream")()
        yield DeviceSide(call)
        call.cancel()


async def unary(server: EdgeServer, method: str, raw: bytes) -> bytes:
    async with open_aio_channel(server.address) as channel:
        answer: bytes = await channel.unary_unary(f"{SERVICE}/{method}")(raw, timeout=PATIENCE)
        return answer


class Road:
    """Payloads at each split of a bundle, and the logits that one process computes from them."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.manifest = bundle.manifest
        self._runtime = OnnxRuntime(bundle)
        self._tail = Tail(bundle, self._runtime)

    def payload(self, sample: NDArray[Any], split: int, codec: str) -> bytes:
        feature: Feature = (sample[None],)
        if split:
            feature = self._runtime.open(0, split, branch=False, via=via_of(codec)).run(feature).feature
        return open_codec(codec, self.manifest, split).encode(feature)

    def segment(self, start: int, stop: int, *, branch: bool) -> Segment:
        return self._runtime.open(start, stop, branch=branch)

    def logits(self, payload: bytes, split: int, codec: str) -> NDArray[np.float32]:
        return self._tail.run(split, [self._tail.decode(split, codec, payload)], via_of(codec))[0]

    def binding(self, split: int, codec: str, *, top_k: int = 0, tail: ExitRule = NO_EXIT, queue: int = 0) -> Binding:
        return bind(Plan(split=split, codec=codec, tail=tail, queue=queue), self.manifest, top_k=top_k)

    def close(self) -> None:
        self._runtime.close()


def logits_of(answer: pb.Answer) -> NDArray[np.float32]:
    assert not answer.HasField("error"), answer.error
    return np.frombuffer(answer.logits, "<f4")
