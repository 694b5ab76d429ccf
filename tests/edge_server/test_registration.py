"""An edge in a fleet: how it joins, what it tells under load, how it leaves, and what it does alone."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offramp.bundle.jsonform import from_json
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import InputError, SettingsError
from offramp.measure.profile import Profile, write_profile
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.telemetry import EdgeHello, EdgeReport
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.delivery import fetch_bundle
from offramp_edge_server.load import Load
from offramp_edge_server.profiling import measure_tails
from offramp_edge_server.registration import Introduction, Registration
from offramp_edge_server.settings import EdgeSettings
from tests.edge_server.edge import Gate, Road, device_side, logits_of, serving
from tests.support.controllers import FakeController, a_controller
from tests.support.tiny_bundle import some_images

SPLIT, CODEC = 2, "affine8"


@pytest.fixture(scope="module")
def profile(tiny_bundle: Bundle) -> Profile:
    with OnnxRuntime(tiny_bundle) as runtime:
        return measure_tails(tiny_bundle, runtime, SystemClock(), threads=1, rounds=2, pause=Seconds(0.0))


@pytest.fixture
def profile_file(profile: Profile, tmp_path: Path) -> Path:
    write_profile(profile, tmp_path / "edge.json")
    return tmp_path / "edge.json"


async def joined(controller: FakeController) -> EdgeHello:
    await controller.until(lambda it: bool(it.hellos))
    hello = controller.hellos[0]
    assert isinstance(hello, EdgeHello)
    return hello


async def reported(controller: FakeController, holds: Callable[[EdgeReport], bool]) -> EdgeReport:
    """The first report of which this is true."""

    def found() -> list[EdgeReport]:
        return [report for report in controller.reports if isinstance(report, EdgeReport) and holds(report)]

    await controller.until(lambda _: bool(found()))
    return found()[0]


def fleet(controller: FakeController, profile_file: Path, **settings: Any) -> dict[str, Any]:
    return {"orchestrator": str(controller.address), "profile": (profile_file,), **settings}


async def test_an_edge_says_its_name_its_address_and_its_bundles(road: Road, profile_file: Path) -> None:
    async with a_controller() as controller:
        async with serving(road.bundle, name="left", **fleet(controller, profile_file)) as server:
            hello = await joined(controller)
            assert (hello.name, hello.address) == ("left", str(server.address))
        assert [(one.name, one.model_digest) for one in hello.bundles] == [
            ("tiny", road.manifest.model_digest),
        ]


async def test_a_profile_that_was_given_is_told_as_it_is(road: Road, profile: Profile, profile_file: Path) -> None:
    async with a_controller() as controller, serving(road.bundle, **fleet(controller, profile_file)):
        hello = await joined(controller)
    assert from_json(Profile, json.loads(hello.bundles[0].profile)) == profile


async def test_without_one_the_edge_measures_itself(road: Road) -> None:
    async with a_controller() as controller, serving(road.bundle, orchestrator=str(controller.address)):
        hello = await joined(controller)
    found = from_json(Profile, json.loads(hello.bundles[0].profile))
    assert found.model_digest == road.manifest.model_digest
    assert set(found.segments) == {"0-4", "1-4", "2-4", "3-4"}


def test_a_profile_knows_every_tail_and_what_decoding_takes(profile: Profile) -> None:
    assert set(profile.segments) == {"0-4", "1-4", "2-4", "3-4"}
    assert {"0:jpeg:90", "2:affine8+zstd"} <= set(profile.decode)
    assert all(cost.median > 0 for cost in (*profile.segments.values(), *profile.decode.values()))


async def test_reports_say_how_busy_it_is_and_what_requests_take(road: Road, profile_file: Path) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with (
        a_controller() as controller,
        serving(road.bundle, **fleet(controller, profile_file)) as server,
        device_side(server) as device,
    ):
        await joined(controller)
        await device.bind(road.binding(SPLIT, CODEC))
        for number in range(8):
            await device.request(payload, id=number)
        await device.answers(8)
        report = await reported(controller, lambda it: it.rate > 0)
    assert 0 < report.busy <= 1
    paces = report.paces[road.manifest.model_digest]
    assert set(paces) == {"2-4", "decode 2:affine8"}
    assert all(pace > 0 for pace in paces.values())


async def test_an_edge_that_cannot_keep_up_raises_its_price(road: Road, profile_file: Path) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with (
            a_controller() as controller,
            serving(road.bundle, open_runtime=gate.runtime, **fleet(controller, profile_file)) as server,
            device_side(server) as device,
        ):
            binding = asyncio.create_task(device.bind(road.binding(SPLIT, CODEC)))
            await binding
            for number in range(5):
                await device.request(payload, id=number)
            await gate.busy()
            report = await reported(controller, lambda it: it.price > 0)
            gate.open()
            await device.answers(5)
    assert report.busy > 0.7
    assert report.queue == 4


async def test_an_edge_that_stops_says_so_before_it_has_finished(road: Road, profile_file: Path) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with (
            a_controller() as controller,
            serving(road.bundle, open_runtime=gate.runtime, **fleet(controller, profile_file)) as server,
            device_side(server) as device,
        ):
            await joined(controller)
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload)
            await gate.busy()
            stopping = asyncio.create_task(server.stop())
            await reported(controller, lambda it: it.stopping)
            assert not stopping.done()
            gate.open()
            logits_of(await device.answer())
            assert await stopping
            await controller.until(lambda it: it.left == 1)


async def test_an_edge_whose_orchestrator_is_gone_serves_on(road: Road, profile_file: Path) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with a_controller() as controller:
        settings = fleet(controller, profile_file)
    async with serving(road.bundle, **settings) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        await device.request(payload)
        logits_of(await device.answer())
        async with a_controller(address=settings["orchestrator"]) as back:
            hello = await joined(back)
            assert set(hello.report.paces[road.manifest.model_digest]) == {"2-4", "decode 2:affine8"}


async def test_whoever_measures_a_profile_is_interrupted_when_the_edge_stops(tiny_bundle: Bundle) -> None:
    sleeps, interrupted = threading.Event(), threading.Event()

    def measure(_: Bundle, clock: Clock) -> bytes:
        sleeps.set()
        try:
            clock.sleep(Seconds(5.0))
        except InterruptedError:
            interrupted.set()
            raise
        return b""

    who = Introduction(orchestrator=Address(host="127.0.0.1", port=1), name="left", address="192.0.2.7:1", tls=None)
    clock = SystemClock()
    registration = Registration(who, [tiny_bundle], Load(clock.now()), profiles={}, measure=measure, clock=clock)
    await registration.open()
    await asyncio.to_thread(sleeps.wait)
    await registration.close()
    assert await asyncio.to_thread(interrupted.wait, 4.0)


async def test_an_edge_delivers_its_bundles(road: Road, tmp_path: Path) -> None:
    async with serving(road.bundle) as server:
        found = await asyncio.to_thread(fetch_bundle, server.address, "tiny", tmp_path)
    assert open_bundle(found.path).manifest == road.manifest


async def test_a_profile_of_a_bundle_that_is_not_served_is_refused(
    road: Road, profile: Profile, tmp_path: Path
) -> None:
    write_profile(replace(profile, model_digest="f" * 64), tmp_path / "other.json")
    with pytest.raises(InputError, match=r"other\.json is a profile of the model ffffffffffff"):
        async with serving(road.bundle, orchestrator="127.0.0.1:1", profile=(tmp_path / "other.json",)):
            pass


@pytest.mark.parametrize(
    ("listen", "advertise", "found"),
    [
        ("10.0.0.7:50051", "", "10.0.0.7:50051"),
        ("10.0.0.7:50051", "edge.example", "edge.example:50051"),
        ("0.0.0.0:50051", "192.0.2.7", "192.0.2.7:50051"),
        ("0.0.0.0:50051", "192.0.2.7:443", "192.0.2.7:443"),
        ("[::]:50051", "2001:db8::7", "[2001:db8::7]:50051"),
        ("unix:/run/edge.sock", "", "unix:/run/edge.sock"),
    ],
)
def test_devices_find_an_edge_where_it_listens_or_where_it_says(listen: str, advertise: str, found: str) -> None:
    settings = EdgeSettings(listen=listen, advertise=advertise, orchestrator="10.0.0.1:50050")
    assert str(settings.advertised(settings.address)) == found


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "[::]:50051"])
def test_an_edge_that_listens_everywhere_has_to_say_where_it_is_found(listen: str) -> None:
    with pytest.raises(SettingsError, match="--advertise HOST"):
        EdgeSettings(listen=listen, orchestrator="10.0.0.1:50050")
    EdgeSettings(listen=listen)  # alone, nobody has to be told


@pytest.mark.parametrize("advertise", ["not an address", "http://edge", "edge:port"])
def test_what_is_advertised_is_an_address(advertise: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        EdgeSettings(advertise=advertise, orchestrator="10.0.0.1:50050")


@pytest.mark.parametrize("name", ["fetch", "profile", "orchestrator_ca"])
def test_what_only_a_fleet_needs_is_refused_without_one(name: str) -> None:
    value = Path("x") if name == "orchestrator_ca" else ("x",)
    with pytest.raises(SettingsError, match=f"{name} needs an orchestrator"):
        EdgeSettings(**{name: value})
