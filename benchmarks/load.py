"""Many devices at once, as one program: streams of pre-encoded payloads, each with one request in flight."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.wire.address import parse_address
from offramp.wire.channels import open_aio_channel
from offramp.wire.v1 import inference_pb2 as pb

METHOD = "/offramp.wire.v1.Inference/Stream"
WARM_UP = 1.0
"""Seconds before those that count."""
IDS = 64
"""Frames made in advance for each stream: an id is free again when its answer is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came back."""

    answers: int
    seconds: float
    batch: float
    """Mean over model calls of how many requests shared one."""
    p50: float
    """Seconds from writing a request to reading its answer."""

    @property
    def throughput(self) -> float:
        return self.answers / self.seconds


async def load(address: str, binding: pb.Binding, payload: bytes, streams: int, seconds: float) -> Load:
    """Ask for `seconds` after a warm-up.

    Raises:
        RuntimeError: The edge refused the binding or a request.
    """
    async with open_aio_channel(parse_address(address)) as channel:
        call: Any = channel.stream_stream(METHOD)
        counting = time.perf_counter() + WARM_UP
        heard = await asyncio.gather(
            *(_one(call(), binding, payload, counting, counting + seconds) for _ in range(streams))
        )
    batches, latencies = (np.concatenate([np.array(part[which]) for part in heard]) for which in (0, 1))
    return Load(
        answers=len(batches),
        seconds=seconds,
        batch=float(len(batches) / (1 / batches).sum()),
        p50=float(np.median(latencies)),
    )


async def _one(
    call: Any, binding: pb.Binding, payload: bytes, counting: float, end: float
) -> tuple[list[int], list[float]]:
    """One stream: (batch sizes, latencies) of the answers that count."""
    await call.write(pb.ClientFrame(bind=pb.Bind(ref=1, binding=binding)).SerializeToString())
    bound = pb.ServerFrame.FromString(await call.read()).bound
    if bound.HasField("error"):
        raise RuntimeError(f"the edge refused the binding: {bound.error.message}")
    frames = [
        pb.ClientFrame(request=pb.Request(ref=1, id=number, payload=payload)).SerializeToString()
        for number in range(IDS)
    ]
    batches: list[int] = []
    latencies: list[float] = []
    number = 0
    while (asked := time.perf_counter()) < end:
        await call.write(frames[number])
        answer = pb.ServerFrame.FromString(await call.read()).answer
        if answer.HasField("error"):
            raise RuntimeError(f"the edge refused a request: {answer.error.message}")
        if asked >= counting:
            batches.append(answer.batch)
            latencies.append(time.perf_counter() - asked)
        number = (number + 1) % IDS
    await call.done_writing()
    return batches, latencies
