"""Thousands of devices in one process, as far as a controller can tell: each has its stream, its link and its plan.

hello ─► report a second, each in its own moment of it ─► some links step ─► the order that follows, timed
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import grpc.aio
import numpy as np

from offramp.records import NO_REVISION, Revision
from offramp.telemetry import DeviceHello, DeviceReport, LinkEstimate
from offramp.units import BitsPerSecond, Seconds
from offramp.wire import control
from offramp.wire.address import Address
from offramp.wire.calling import SERVICE
from offramp.wire.channels import open_aio_channel
from offramp.wire.v1 import control_pb2 as pb

PER_CONNECTION = 250
"""Streams; a server allows 256."""
FAST, SLOW = 20e6, 0.1e6
"""Bits per second between which links step: the best plan for one is not the best for the other."""
SLICES = 50
"""Of a second: reports of one slice are written together."""
IN_TIME = Seconds(1.0)
REST = Seconds(3.0)
"""Between two steps of one link."""
JOINING = 200
"""Hellos under way at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a fleet saw of its controller."""

    joined_s: float
    """Until every device had its first plan."""
    seconds: float
    reports: int
    reports_a_second: float
    controller_cpu: float
    """Share of a core, as the system counts it."""
    late_slices: float
    """Share of the slices that this process began more than 100 ms late: it was itself too slow."""
    steps: int
    in_time: float
    """Share of the steps whose order came within a second."""
    push_p50: float
    push_p95: float
    drained_s: float
    """From the last report until the controller had read everything."""


class Fleet:
    """Opened, run, closed on one event loop."""

    def __init__(self, address: Address, devices: int, profile: bytes, objective: str = "") -> None:
        self._address = address
        self._profile, self._objective = profile, objective
        self._channels = [open_aio_channel(address) for _ in range(-(-devices // PER_CONNECTION))]
        self._devices = [_Device(f"device-{number}") for number in range(devices)]

    async def run(self, seconds: float, steps_a_second: int, cpu: Callable[[], float], *, warm: float = 3.0) -> Heard:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        room = asyncio.Semaphore(JOINING)
        await asyncio.gather(*(self._join(number, room) for number in range(len(self._devices))))
        joined = loop.time() - begun
        readers = [asyncio.create_task(device.listen()) for device in self._devices]
        await self._report(warm, 0)
        begun, busy = loop.time(), cpu()
        reports, late = await self._report(seconds, steps_a_second)
        took, busy = loop.time() - begun, cpu() - busy
        await asyncio.gather(*(device.call.done_writing() for device in self._devices))
        await asyncio.wait(readers, timeout=30.0)
        drained = loop.time() - begun - took
        for channel in self._channels:
            await channel.close()
        pushed = [one for device in self._devices for one in device.pushed]
        steps = sum(device.steps for device in self._devices)
        return Heard(
            joined_s=joined,
            seconds=took,
            reports=reports,
            reports_a_second=reports / took,
            controller_cpu=busy / took,
            late_slices=late,
            steps=steps,
            in_time=sum(one <= IN_TIME for one in pushed) / max(1, steps),
            push_p50=float(np.quantile(pushed, 0.5)) if pushed else float("nan"),
            push_p95=float(np.quantile(pushed, 0.95)) if pushed else float("nan"),
            drained_s=drained,
        )

    async def _join(self, number: int, room: asyncio.Semaphore) -> None:
        async with room:
            channel = self._channels[number // PER_CONNECTION]
            await self._devices[number].join(channel, self._profile, self._objective)

    async def _report(self, seconds: float, steps_a_second: int) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        slices = [self._devices[place::SLICES] for place in range(SLICES)]
        begun, count, reports, late = loop.time(), round(seconds * SLICES), 0, 0
        owed = 0.0
        for number in range(count):
            due = begun + number / SLICES
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            late += loop.time() - due > 0.1
            turn = slices[number % SLICES]
            owed += steps_a_second / SLICES
            may_step = number < count - SLICES  # an order has a second to come
            for device in random.sample(turn, min(len(turn), int(owed))) if may_step else ():
                owed -= device.step(loop.time())
            for device in turn:
                await device.report()
            reports += len(turn)
        return reports, late / count


@dataclass(slots=True)
class _Device:
    name: str
    bandwidth: float = FAST
    changes: int = 0
    revision: Revision = NO_REVISION
    plan: str = ""
    raw: bytes = b""
    """Its next report, unless something changes."""
    stepped: float | None = None
    last_step: float = -inf
    steps: int = 0
    pushed: list[float] = field(default_factory=list)
    call: "grpc.aio.StreamStreamCall[bytes, bytes]" = None  # type: ignore[assignment]

    async def join(self, channel: grpc.aio.Channel, profile: bytes, objective: str) -> None:
        self.call = channel.stream_stream(f"/{SERVICE}/Device")()
        hello = DeviceHello(name=self.name, profile=profile, objective=objective, report=self._now())
        await self.call.write(control.device_hello_to_proto(hello).SerializeToString())
        self._follow(await self.call.read())

    async def listen(self) -> None:
        while isinstance(raw := await self.call.read(), bytes):
            if self.stepped is not None:
                self.pushed.append(asyncio.get_running_loop().time() - self.stepped)
                self.stepped = None
            self._follow(raw)

    def step(self, now: float) -> bool:
        """Its link steps, unless it did so a moment ago: a plan that has just changed is kept for a second."""
        if self.stepped is not None or now - self.last_step < REST:
            return False
        self.bandwidth = SLOW if self.bandwidth == FAST else FAST
        self.changes += 1
        self.steps += 1
        self.last_step = self.stepped = now
        self.raw = b""
        return True

    async def report(self) -> None:
        if not self.raw:
            self.raw = control.device_report_to_proto(self._now()).SerializeToString()
        await self.call.write(self.raw)

    def _follow(self, raw: object) -> None:
        assert isinstance(raw, bytes), "the controller ended the stream"
        order = pb.DeviceOrder.FromString(raw)
        self.plan, self.revision, self.raw = order.plan, Revision(order.epoch, order.counter), b""

    def _now(self) -> DeviceReport:
        link = LinkEstimate(
            bandwidth=BitsPerSecond(self.bandwidth),
            bandwidth_low=BitsPerSecond(self.bandwidth * 0.9),
            bandwidth_high=BitsPerSecond(self.bandwidth * 1.1),
            round_trip=Seconds(0.02),
            round_trip_deviation=Seconds(0.001),
            edge=Seconds(0.005),
            age=Seconds(0.1),
            changes=self.changes,
        )
        return DeviceReport(link=link, rate=5.0, plan=self.plan, revision=self.revision)
