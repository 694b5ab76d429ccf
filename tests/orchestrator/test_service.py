"""The Control service over a real socket, with a device and an edge that are played by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from offramp.clock import ManualClock
from offramp.records import Revision
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeBundle, EdgeHello
from offramp.units import Seconds
from offramp.wire import control
from offramp.wire.address import Address
from offramp.wire.calling import SERVICE
from offramp.wire.channels import listen, open_aio_channel, server_options
from offramp.wire.v1 import control_pb2 as pb
from offramp_orchestrator.controller import Controller
from offramp_orchestrator.library import Library
from offramp_orchestrator.service import ControlService
from tests.orchestrator.fleets import BOARD, DIGEST, EPOCH, SENDS, SERVER, STAYS, a_link, a_report, a_shelf, raw

PATIENCE = 20.0  # seconds: only a bug takes longer


class Served:
    """A control service, and the address that it listens at."""

    def __init__(self, service: ControlService, controller: Controller, clock: ManualClock, address: Address) -> None:
        self.service, self.controller, self.clock, self.address = service, controller, clock, address


class Caller:
    """One stream, as who opened it sees it."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def say(self, frame: pb.DeviceFrame | pb.EdgeFrame | bytes) -> None:
        await self._call.write(frame if isinstance(frame, bytes) else frame.SerializeToString())

    async def hello(self, name: str = "board", report: DeviceReport | None = None, **more: Any) -> None:
        hello = DeviceHello(name=name, report=report or a_report(a_link()), **({"profile": raw(BOARD)} | more))
        await self.say(control.device_hello_to_proto(hello))

    async def report(self, **report: Any) -> None:
        await self.say(control.device_report_to_proto(a_report(**report)))

    async def edge_hello(self, name: str = "edge") -> None:
        bundles = (EdgeBundle(model_digest=DIGEST, name="a test network", profile=raw(SERVER)),)
        await self.say(control.edge_hello_to_proto(EdgeHello(name=name, address=f"{name}:1", bundles=bundles)))

    async def hear(self) -> bytes:
        answer = await asyncio.wait_for(self._call.read(), PATIENCE)
        if not isinstance(answer, bytes):
            raise EOFError(f"{await self._call.code()}: {await self._call.details()}")
        return answer

    async def order(self) -> DeviceOrder:
        return control.order_from_proto(pb.DeviceOrder.FromString(await self.hear()))

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """How the other end ends it; orders before that are not looked at."""
        with contextlib.suppress(EOFError, grpc.RpcError):
            while True:
                await self.hear()
        return await self._call.code(), await self._call.details()

    async def finish(self) -> None:
        await self._call.done_writing()

    def vanish(self) -> None:
        self._call.cancel()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clock = ManualClock(Seconds(10.0))
    controller = Controller(Library([a_shelf()]), EPOCH, clock.now())
    service = ControlService(controller, clock)
    server = grpc.aio.server(options=server_options())
    server.add_generic_rpc_handlers((service.handler(),))
    address = listen(server, Address(host="127.0.0.1"))
    await server.start()
    await service.start()
    yield Served(service, controller, clock, address)
    await service.stop()
    await server.stop(None)


@contextlib.asynccontextmanager
async def calling(served: Served, method: str = "Device") -> AsyncIterator[Caller]:
    async with open_aio_channel(served.address) as channel:
        call = channel.stream_stream(f"/{SERVICE}/{method}")()
        yield Caller(call)
        call.cancel()


async def until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


async def test_who_enters_is_told_to_stay(served: Served) -> None:
    async with open_aio_channel(served.address) as channel:
        raw_reply = await channel.unary_unary(f"/{SERVICE}/Enter")(pb.EnterRequest(name="board").SerializeToString())
    assert list(pb.EnterReply.FromString(raw_reply).controllers) == [""]


async def test_a_device_is_told_a_plan_and_another_one_when_an_edge_comes(served: Served) -> None:
    async with calling(served) as device, calling(served, "Edge") as edge:
        await device.hello()
        assert (await device.order()).plan == STAYS
        await edge.edge_hello()
        assert pb.EdgeOrder.FromString(await edge.hear()).epoch == EPOCH
        served.clock.advance(Seconds(2.0))
        await device.report(link=a_link())
        order = await device.order()
    assert (order.plan, order.edge) == (SENDS, "edge:1")


async def test_devices_of_an_edge_that_vanishes_are_told_at_once(served: Served) -> None:
    async with calling(served) as device:
        async with calling(served, "Edge") as edge:
            await edge.edge_hello()
            await edge.hear()
            await device.hello()
            assert (await device.order()).plan == SENDS
            edge.vanish()
        assert (await device.order()).plan == STAYS


async def test_a_device_that_vanishes_is_forgotten(served: Served) -> None:
    async with calling(served) as device:
        await device.hello()
        await device.order()
        assert len(served.controller.devices) == 1
        device.vanish()
        await until(lambda: not served.controller.devices)
    assert not served.controller.devices


async def test_a_stream_that_its_caller_ends_ends_well(served: Served) -> None:
    async with calling(served) as device:
        await device.hello()
        await device.order()
        await device.finish()
        assert await device.end() == (grpc.StatusCode.OK, "")
        await until(lambda: not served.controller.devices)


async def test_a_second_stream_of_a_name_takes_the_place_of_the_first(served: Served) -> None:
    async with calling(served) as first, calling(served) as second:
        await first.hello()
        await first.order()
        await second.hello()
        code, details = await first.end()
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "another device came by the name 'board'" in details
        assert (await second.order()).revision == Revision(EPOCH, 2)
        assert [device.name for device in served.controller.devices] == ["board"]


async def test_the_same_stream_may_say_hello_again(served: Served) -> None:
    async with calling(served) as device:
        await device.hello(profile=b"")
        assert (await device.order()).predicted == 0
        await device.hello()
        assert (await device.order()).predicted > 0


@pytest.mark.parametrize(
    ("frame", "code", "said"),
    [
        (b"\xff\xff", grpc.StatusCode.FAILED_PRECONDITION, "are not a offramp.wire.v1.DeviceFrame"),
        (pb.DeviceFrame(), grpc.StatusCode.FAILED_PRECONDITION, "neither a hello nor a report"),
        (control.device_report_to_proto(a_report()), grpc.StatusCode.FAILED_PRECONDITION, "before the hello"),
        (pb.DeviceFrame(hello=pb.DeviceHello()), grpc.StatusCode.FAILED_PRECONDITION, "has to be named"),
        (
            pb.DeviceFrame(hello=pb.DeviceHello(name="x", bundle="other")),
            grpc.StatusCode.NOT_FOUND,
            "no bundle 'other'",
        ),
        (
            pb.DeviceFrame(hello=pb.DeviceHello(name="x", objective="speed=1")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "there is no part of an objective 'speed'",
        ),
    ],
    ids=["garbage", "empty", "report first", "nameless", "unknown bundle", "no objective"],
)
async def test_what_cannot_be_is_refused_clearly(
    served: Served, frame: pb.DeviceFrame | bytes, code: grpc.StatusCode, said: str
) -> None:
    async with calling(served) as device:
        await device.say(frame)
        ended, details = await device.end()
    assert ended is code
    assert said in details


async def test_one_stream_is_one_device(served: Served) -> None:
    async with calling(served) as device:
        await device.hello("board")
        await device.hello("another")
        code, details = await device.end()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "says it is 'another' now" in details


async def test_a_refused_device_does_not_disturb_others(served: Served) -> None:
    async with calling(served) as good, calling(served) as bad:
        await good.hello("good")
        await good.order()
        await bad.hello("bad")
        await bad.say(b"\xff")
        await bad.end()
        await until(lambda: len(served.controller.devices) == 1)
        await good.hello("good")
        assert await good.order()


async def test_stopping_tells_everybody_to_come_back_later(served: Served) -> None:
    async with calling(served) as device, calling(served, "Edge") as edge:
        await device.hello()
        await device.order()
        await edge.edge_hello()
        await edge.hear()
        await served.service.stop()
        ended = [await caller.end() for caller in (device, edge)]
    assert {code for code, _ in ended} == {grpc.StatusCode.UNAVAILABLE}
    assert {"the orchestrator is stopping" in details for _, details in ended} == {True}
