"""A device and whoever steers it, over real sockets: what it says, what it does with what it is told."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offramp.bundle.jsonform import from_json
from offramp.bundle.shelf import held_digests
from offramp.bundle.store import Bundle
from offramp.measure.profile import Profile
from offramp.records import Answered, Revision
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport
from offramp.units import Seconds
from offramp.wire.delivery import DeliveryService
from offramp_device import Device
from tests.device.processes import Listening, an_edge
from tests.support.controllers import FakeController, a_controller
from tests.support.steered import write_plannable_bundle
from tests.support.tiny_bundle import some_images

pytestmark = pytest.mark.system

HERE = "split=end, exit=confidence:0.8@1"
OFFLOAD = "split=1, codec=affine8+zstd"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_plannable_bundle(tmp_path_factory.mktemp("steered") / "bundle")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: the board is timed once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def edges(bundle: Bundle) -> Iterator[list[Listening]]:
    with an_edge(bundle.path) as one, an_edge(bundle.path) as other:
        yield [one, other]


@contextlib.asynccontextmanager
async def a_device(bundle: Bundle, controller: FakeController, store: Path, **named: Any) -> AsyncIterator[Device]:
    """Opened and closed beside the event loop, on which the controller lives."""
    device = await asyncio.to_thread(
        Device.open, bundle, orchestrator=str(controller.address), name="board", store=store, **named
    )
    try:
        yield device
    finally:
        await asyncio.to_thread(device.close)


def an_order(bundle: Bundle, plan: str, counter: int, edge: str = "", *, epoch: int = 3, **named: Any) -> DeviceOrder:
    manifest = bundle.manifest
    order = DeviceOrder(
        plan=plan,
        revision=Revision(epoch, counter),
        model_digest=manifest.model_digest,
        bundle=manifest.name,
        edge=edge,
    )
    return replace(order, **named)


def last(controller: FakeController) -> DeviceReport:
    report = controller.reports[-1]
    assert isinstance(report, DeviceReport)
    return report


def acknowledges(counter: int, epoch: int = 3) -> Any:
    return lambda controller: controller.reports and last(controller).revision == (epoch, counter)


async def test_a_hello_says_all_that_whoever_plans_has_to_know(bundle: Bundle, store: Path) -> None:
    async with a_controller() as controller, a_device(bundle, controller, store, objective="minimise=bytes"):
        await controller.until(lambda it: bool(it.hellos))
    hello = controller.hellos[0]
    assert isinstance(hello, DeviceHello)
    digest = bundle.manifest.model_digest
    assert (hello.name, hello.bundle, hello.digests) == ("board", digest, (digest,))
    assert (hello.objective, hello.edge, hello.report.revision) == ("minimise=bytes", "", (0, 0))
    profile = from_json(Profile, json.loads(hello.profile))
    assert len(profile.segments) == len(bundle.manifest.segments)


async def test_an_order_is_followed_and_acknowledged(bundle: Bundle, store: Path, edges: list[Listening]) -> None:
    async with a_controller() as controller, a_device(bundle, controller, store) as device:
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(an_order(bundle, OFFLOAD, 1, edges[0].address))
        await controller.until(acknowledges(1))
        result = await asyncio.to_thread(device.infer, some_images(1)[0])
        assert (result.answered, result.revision) == (Answered.EDGE, (3, 1))
        await controller.until(lambda it: bool(last(it).answered.get(Answered.EDGE)))
    assert last(controller).edge == edges[0].address
    assert any(report.wire_bytes for report in controller.reports if isinstance(report, DeviceReport))


async def test_an_older_order_is_refused_with_its_reason(bundle: Bundle, store: Path) -> None:
    async with a_controller() as controller, a_device(bundle, controller, store) as device:
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(an_order(bundle, HERE, 5))
        await controller.until(acknowledges(5))
        await controller.order(an_order(bundle, "split=end", 4))
        await controller.until(lambda it: bool(last(it).trouble))
        assert "plan 3.4 is older than 3.5" in last(controller).trouble
        assert device.plan.revision == (3, 5)


async def test_a_device_under_load_moves_to_another_edge_without_losing_a_sample(
    bundle: Bundle, store: Path, edges: list[Listening]
) -> None:
    images = some_images(8)
    async with a_controller() as controller, a_device(bundle, controller, store) as device:
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(an_order(bundle, OFFLOAD, 1, edges[0].address))
        await controller.until(acknowledges(1))
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(device.infer, images[number % 8]) for number in range(400)]
            await controller.order(an_order(bundle, OFFLOAD, 2, edges[1].address))
            await controller.until(acknowledges(2))
            results = await asyncio.to_thread(lambda: [item.result() for item in waiting])
        late = await asyncio.to_thread(device.infer, images[0])
    assert sorted(result.index for result in results) == list(range(400))
    assert {result.answered for result in results} == {Answered.EDGE}
    assert (late.answered, late.revision) == (Answered.EDGE, (3, 2))


async def test_an_orchestrator_that_comes_back_hears_hello_again_and_the_plan_was_kept(
    bundle: Bundle, store: Path
) -> None:
    async with contextlib.AsyncExitStack() as opened:
        async with a_controller() as controller:
            device = await opened.enter_async_context(a_device(bundle, controller, store))
            await controller.until(lambda it: bool(it.hellos))
            await controller.order(an_order(bundle, HERE, 7))
            await controller.until(acknowledges(7))
        answered = (await asyncio.to_thread(device.infer, some_images(1)[0])).revision
        async with a_controller(address=str(controller.address)) as successor:
            await successor.until(lambda it: bool(it.hellos))
    (hello, *_) = successor.hellos
    assert isinstance(hello, DeviceHello)
    assert answered == hello.report.revision == (3, 7)
    assert hello.report.plan == "split=4, exit=confidence:0.8@1, codec=none"


async def test_a_device_that_never_reaches_its_orchestrator_chooses_by_itself(
    bundle: Bundle, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offramp_device.control.UNREACHED", Seconds(math.inf))
    device = await asyncio.to_thread(Device.open, bundle, orchestrator="127.0.0.1:1", name="board", store=store)
    try:
        chosen = {"split=4, exit=confidence:0.8@1, codec=none", "split=4, exit=none, codec=none"}
        assert str(device.plan) not in chosen
        monkeypatch.setattr("offramp_device.control.UNREACHED", Seconds(0.0))
        for _ in range(200):
            if str(device.plan) in chosen:
                break
            await asyncio.sleep(0.05)
        assert str(device.plan) in chosen
    finally:
        await asyncio.to_thread(device.close)


async def test_another_bundle_is_fetched_run_and_said_hello_with(
    bundle: Bundle, tmp_path: Path, edges: list[Listening]
) -> None:
    other = write_plannable_bundle(tmp_path / "other", seed=9)
    beside = [DeliveryService([other]).handler()]
    async with a_controller(beside=beside) as controller, a_device(bundle, controller, tmp_path / "store") as device:
        await controller.until(lambda it: bool(it.hellos))
        await controller.order(an_order(other, HERE, 1))
        await controller.until(lambda it: len(it.hellos) == 2)
        result = await asyncio.to_thread(device.infer, some_images(1)[0])
    hello = controller.hellos[1]
    assert isinstance(hello, DeviceHello)
    assert hello.bundle == other.manifest.model_digest
    assert hello.profile
    assert held_digests(tmp_path / "store") == (other.manifest.model_digest,)
    assert (result.answered, result.revision) == (Answered.DEVICE, (3, 1))
