"""A caller and its controllers: found, told, lost and found again."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from offramp.errors import InputError
from offramp.records import Revision
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeHello, EdgeReport
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.calling import DEVICE, EDGE, ControlLink
from offramp.wire.tls import ClientTls, ServerTls
from tests.support.controllers import PATIENCE, a_controller

SOON = Seconds(0.05)
NEVER = Seconds(3_600.0)
AN_ORDER = DeviceOrder(plan="split=2", revision=Revision(3, 1), model_digest="ab" * 32, bundle="tiny", edge="")


class Caller:
    """What a link is given: counts its reports in `queue`, and keeps what it hears."""

    def __init__(self) -> None:
        self.reports = 0
        self.orders: asyncio.Queue[Any] = asyncio.Queue()
        self.told: list[str] = []

    def device_report(self) -> DeviceReport:
        self.reports += 1
        return DeviceReport(queue=self.reports)

    def edge_report(self) -> EdgeReport:
        self.reports += 1
        return EdgeReport(queue=self.reports)

    async def order(self) -> Any:
        return await asyncio.wait_for(self.orders.get(), PATIENCE)


@contextlib.asynccontextmanager
async def a_device(caller: Caller, address: Address, **options: Any) -> AsyncIterator[Any]:
    link = ControlLink(
        DEVICE,
        address,
        "board",
        hello=lambda: DeviceHello(name="board", bundle="tiny"),
        report=caller.device_report,
        order=caller.orders.put_nowait,
        meanwhile="keeping the plan",
        tell=caller.told.append,
        **{"period": SOON, **options},
    )
    async with link:
        yield link


@contextlib.asynccontextmanager
async def an_edge(caller: Caller, address: Address, **options: Any) -> AsyncIterator[Any]:
    link = ControlLink(
        EDGE,
        address,
        "edge",
        hello=lambda: EdgeHello(name="edge", address="192.0.2.7:50051", bundles=()),
        report=caller.edge_report,
        order=caller.orders.put_nowait,
        tell=caller.told.append,
        **{"period": SOON, "refresh": SOON, **options},
    )
    async with link:
        yield link


async def test_a_device_says_hello_to_its_controller_and_then_reports() -> None:
    caller = Caller()
    async with a_controller() as controller, a_device(caller, controller.address):
        await controller.until(lambda it: len(it.reports) >= 2)
        assert controller.entered[0].name == "board"
        assert controller.hellos == [DeviceHello(name="board", bundle="tiny", report=controller.hellos[0].report)]
        assert [report.queue for report in controller.reports[:2]] == [1, 2]


async def test_a_nudge_is_a_report_at_once_from_any_thread() -> None:
    async with a_controller() as controller, a_device(Caller(), controller.address, period=NEVER) as link:
        await controller.until(lambda it: bool(it.hellos))
        assert not controller.reports
        await asyncio.to_thread(link.nudge)
        await controller.until(lambda it: bool(it.reports))
        assert len(controller.reports) == 1


async def test_orders_are_heard() -> None:
    caller = Caller()
    async with a_controller() as controller, a_device(caller, controller.address):
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(AN_ORDER)
        assert await caller.order() == AN_ORDER


async def test_an_edge_hears_the_epoch_as_its_welcome() -> None:
    caller = Caller()
    async with a_controller() as controller, an_edge(caller, controller.address):
        assert await caller.order() == 7


async def test_a_device_talks_with_the_controller_that_it_is_sent_to() -> None:
    async with a_controller() as door, a_controller() as controller:
        door.controllers = [str(controller.address), ""]
        async with a_device(Caller(), door.address):
            await controller.until(lambda it: bool(it.reports))
            assert door.hellos == []


async def test_an_edge_tells_every_controller_the_same_and_learns_of_new_ones() -> None:
    caller = Caller()
    async with a_controller() as first, a_controller() as second, an_edge(caller, first.address) as link:
        await first.until(lambda it: bool(it.reports))
        first.controllers = ["", str(second.address)]
        await second.until(lambda it: bool(it.reports))
        heard = second.reports[0]
        await first.until(lambda it: heard in it.reports)
        assert set(link.controllers) == {first.address, second.address}


async def test_an_edge_leaves_a_controller_that_is_none_any_more() -> None:
    async with a_controller() as first, a_controller() as second:
        first.controllers = ["", str(second.address)]
        async with an_edge(Caller(), first.address) as link:
            await second.until(lambda it: bool(it.reports))
            first.controllers = [""]
            asked = len(first.entered)
            await first.until(lambda it: len(it.entered) >= asked + 2)
            assert link.controllers == (first.address,)


async def test_a_controller_that_comes_back_is_greeted_again_and_each_change_is_told_once() -> None:
    caller = Caller()
    async with contextlib.AsyncExitStack() as opened:
        first = contextlib.AsyncExitStack()
        controller = await first.enter_async_context(a_controller())
        await opened.enter_async_context(a_device(caller, controller.address))
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(AN_ORDER)
        await caller.order()
        await first.aclose()
        while len(caller.told) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # time for several attempts, which are not told
        async with a_controller(address=str(controller.address)) as again:
            await again.until(lambda it: bool(it.hellos))
            await again.order(AN_ORDER)
            await caller.order()
            told = list(caller.told)
    at = controller.address
    assert told[0] == f"connected to the orchestrator at {at}"
    assert told[1].startswith(f"lost the controller at {at}: ")
    assert told[2] == f"no orchestrator at {at}: connection refused; keeping the plan, trying again"
    assert told[3:] == [f"connected to the orchestrator at {at}"]


async def test_nothing_is_reported_to_nobody() -> None:
    caller = Caller()
    async with a_device(caller, Address(host="127.0.0.1", port=1)):
        while not caller.told:
            await asyncio.sleep(0.01)
        await asyncio.sleep(4 * SOON)
    assert caller.reports == 0


async def test_a_refusal_is_told_with_its_reason() -> None:
    caller = Caller()
    async with a_controller() as controller:
        controller.refuses = True
        async with a_device(caller, controller.address):
            while not caller.told:
                await asyncio.sleep(0.01)
    assert "nobody of this name is wanted; keeping the plan" in caller.told[0]


async def test_bytes_that_are_no_order_end_the_stream_and_not_the_link() -> None:
    caller = Caller()
    async with a_controller() as controller, a_device(caller, controller.address):
        await controller.until(lambda it: bool(it.hellos))
        await controller.say(b"\xff\xff\xff")
        await controller.until(lambda it: len(it.hellos) == 2)
    assert any("are no order" in told for told in caller.told)


async def test_an_orchestrator_without_controllers_is_asked_again() -> None:
    caller = Caller()
    async with a_controller() as controller:
        controller.controllers = []
        async with a_device(caller, controller.address):
            await controller.until(lambda it: len(it.entered) >= 2)
            controller.controllers = [""]
            await controller.until(lambda it: bool(it.hellos))
    assert "it has no controller yet" in caller.told[0]


async def test_leaving_says_a_last_word_and_ends_the_stream_in_good_order() -> None:
    async with a_controller() as controller, a_device(Caller(), controller.address, period=NEVER) as link:
        await controller.until(lambda it: bool(it.hellos))
        await asyncio.wait_for(link.leave(NEVER), 5.0)
        assert (len(controller.reports), controller.left) == (1, 1)


async def test_closing_does_not_wait_for_an_orchestrator_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with a_device(Caller(), Address(host="127.0.0.1", port=silent.getsockname()[1])) as link:
            await asyncio.sleep(0.05)
            closing = asyncio.ensure_future(link.close())
            done, _ = await asyncio.wait({closing}, timeout=1.0)
            assert closing in done
            assert closing.exception() is None


async def test_a_report_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller()
    good = caller.device_report

    def sometimes() -> DeviceReport:
        report = good()
        if report.queue == 1:
            raise RuntimeError("a bug")
        return report

    caller.device_report = sometimes  # type: ignore[method-assign]
    async with a_controller() as controller, a_device(caller, controller.address):
        await controller.until(lambda it: bool(it.reports))
        assert controller.reports[0].queue == 2


async def test_tls_is_spoken_to_both(certificates: Path) -> None:
    theirs = ServerTls(cert=certificates / "edge.crt", key=certificates / "edge.key")
    ours = ClientTls(ca=certificates / "ca.crt")
    async with a_controller(tls=theirs) as controller, a_device(Caller(), controller.address, tls=ours):
        await controller.until(lambda it: bool(it.hellos))
        assert [hello.name for hello in controller.hellos] == ["board"]


async def test_a_tls_file_that_is_none_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        async with a_device(Caller(), Address(host="127.0.0.1", port=1), tls=ClientTls(ca=tmp_path / "missing.crt")):
            pass
