"""`offramp orchestrate` as a process: its first line, events, signals and exit codes, and life after a kill."""

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from offramp.bundle.jsonform import to_json
from offramp.bundle.store import Bundle
from offramp.measure.profile import Cost, Profile, segment_name
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport, EdgeBundle, EdgeHello
from offramp.wire import control
from offramp.wire.address import parse_address
from offramp.wire.calling import SERVICE
from offramp.wire.channels import open_aio_channel
from offramp.wire.v1 import control_pb2 as pb
from tests.orchestrator.fleets import a_link, a_report
from tests.support.servers import next_line, serving
from tests.support.steered import write_plannable_bundle

pytestmark = pytest.mark.system

PATIENCE = 30.0  # seconds: only a bug takes longer


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_plannable_bundle(tmp_path_factory.mktemp("orchestrated") / "bundle")


def orchestrate(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    return serving("orchestrate", "--in-process", *arguments)


def profile(bundle: Bundle, seconds: float) -> bytes:
    """Of a host on which every segment takes as long."""
    manifest = bundle.manifest
    cost = Cost(median=seconds, p95=seconds)
    segments = {segment_name(one.start, one.stop, branch=one.branch): cost for one in manifest.segments}
    measured = Profile(
        model_digest=manifest.model_digest,
        host="a test",
        threads=1,
        slowdown=1.0,
        end=manifest.end,
        segments=segments,
        encode={},
        decode={},
    )
    return json.dumps(to_json(measured)).encode()


class ScriptedDevice:
    """Says what a test says, and hears orders."""

    def __init__(self, call: Any, bundle: Bundle) -> None:
        self._call, self._bundle = call, bundle

    async def hello(self, report: DeviceReport) -> DeviceOrder:
        hello = DeviceHello(name="board", profile=profile(self._bundle, 0.05), report=report)
        await self._call.write(control.device_hello_to_proto(hello).SerializeToString())
        return await self.order()

    async def report(self, report: DeviceReport) -> None:
        await self._call.write(control.device_report_to_proto(report).SerializeToString())

    async def order(self) -> DeviceOrder:
        raw = await asyncio.wait_for(self._call.read(), PATIENCE)
        return control.order_from_proto(pb.DeviceOrder.FromString(raw))


@contextlib.asynccontextmanager
async def a_device_and_an_edge(address: str, bundle: Bundle) -> AsyncIterator[ScriptedDevice]:
    async with open_aio_channel(parse_address(address)) as channel:
        edge: Any = channel.stream_stream(f"/{SERVICE}/Edge")()
        served = EdgeBundle(model_digest=bundle.manifest.model_digest, name="tiny", profile=profile(bundle, 0.001))
        hello = EdgeHello(name="edge", address="192.0.2.7:50051", bundles=(served,))
        await edge.write(control.edge_hello_to_proto(hello).SerializeToString())
        await asyncio.wait_for(edge.read(), PATIENCE)
        call: Any = channel.stream_stream(f"/{SERVICE}/Device")()
        yield ScriptedDevice(call, bundle)
        call.cancel()
        edge.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_when_told(bundle: Bundle, number: signal.Signals) -> None:
    with orchestrate("--bundle", bundle.path, "--listen", "127.0.0.1:0") as process:
        ready = next_line(process)
        assert ready["event"] == "ready"
        assert ready["bundles"][0]["digest"] == bundle.manifest.model_digest
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == "", "standard output is for programs"
    assert err.rstrip().endswith("stopped")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give at least one with --bundle DIR"),
        (["--strategy", "serch"], "did you mean 'search'?"),
        (["--objective", "minimise=speed"], "there is no goal 'speed'"),
        (["--controllers", "2"], "in_process decides without Ray"),
        (["--telemetry"], "give --events too"),
        (["--power", "-1"], "power is -1"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_wrong_input_is_said_and_is_exit_code_2(arguments: list[str], says: str) -> None:
    with orchestrate("--listen", "127.0.0.1:0", *arguments) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert says in err
    assert process.returncode == 2


def test_a_port_in_use_is_wrong_input(bundle: Bundle) -> None:
    with orchestrate("--bundle", bundle.path, "--listen", "127.0.0.1:0") as first:
        taken = next_line(first)["listen"]
        with orchestrate("--bundle", bundle.path, "--listen", taken) as second:
            _, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2
    assert "address already in use" in err


async def test_a_step_of_the_link_is_answered_by_another_plan_and_told_as_events(bundle: Bundle) -> None:
    with orchestrate("--bundle", bundle.path, "--listen", "127.0.0.1:0", "--events", "--telemetry") as process:
        ready = await asyncio.to_thread(next_line, process)
        async with a_device_and_an_edge(ready["listen"], bundle) as device:
            first = await device.hello(a_report(a_link(50.0, rtt=0.002)))
            assert first.edge == "192.0.2.7:50051"
            followed = a_report(
                a_link(1e-5, rtt=0.002, changes=1), plan=first.plan, revision=first.revision, edge=first.edge
            )
            await device.report(followed)
            second = await device.order()
        assert second.plan != first.plan
        assert "codec=none" in second.plan
        said = [await asyncio.to_thread(next_line, process) for _ in range(6)]
    kinds = [line["event"] for line in said]
    assert kinds == ["edge joined", "device joined", "order", "telemetry", "acknowledged", "order"]
    assert (said[2]["plan"], said[5]["plan"]) == (first.plan, second.plan)
    assert said[3]["bandwidth"] == pytest.approx(10.0)


async def test_after_a_kill_devices_say_hello_again_and_get_orders_of_a_later_epoch(bundle: Bundle) -> None:
    with orchestrate("--bundle", bundle.path, "--listen", "127.0.0.1:0") as killed:
        listen = (await asyncio.to_thread(next_line, killed))["listen"]
        async with a_device_and_an_edge(listen, bundle) as device:
            first = await device.hello(a_report(a_link(50.0)))
            killed.send_signal(signal.SIGKILL)
            await asyncio.to_thread(killed.wait, PATIENCE)
    with orchestrate("--bundle", bundle.path, "--listen", listen) as back:
        await asyncio.to_thread(next_line, back)
        async with a_device_and_an_edge(listen, bundle) as device:
            again = await device.hello(
                a_report(a_link(50.0), plan=first.plan, revision=first.revision, edge=first.edge)
            )
    assert again.plan == first.plan
    assert again.revision > first.revision


def test_the_settings_can_be_printed() -> None:
    with orchestrate("--print-settings") as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert "in_process" in out
    assert process.returncode == 0
