"""The server as a whole: ports, health, metrics, strangers, and how it stops."""

import asyncio
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from offramp.bundle.store import Bundle
from offramp.errors import InputError, SettingsError
from offramp.plan import ExitRule
from offramp.units import Seconds
from offramp.wire.channels import open_aio_channel
from offramp.wire.tls import ClientTls
from offramp_edge_server.server import EdgeServer
from offramp_edge_server.settings import EdgeSettings
from tests.edge_server.edge import Gate, Road, device_side, logits_of, serving
from tests.support.tiny_bundle import some_images

Code = grpc.StatusCode
SPLIT, CODEC = 2, "affine8"


async def fetch(server: EdgeServer, path: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{server.metrics_address}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(get)


async def test_a_port_in_use_is_an_input_error_and_leaves_nothing_open(road: Road) -> None:
    async with serving(road.bundle, metrics="0") as server:
        taken = EdgeSettings(listen=str(server.address), metrics="0")
        second = EdgeServer([road.bundle], taken)
        with pytest.raises(InputError, match="in use"):
            await second.start()
        assert second.metrics_address is not None
        with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
            probe.connect((second.metrics_address.host, second.metrics_address.port))
        third = EdgeServer([road.bundle], EdgeSettings(listen="127.0.0.1:0", metrics=str(server.metrics_address)))
        with pytest.raises(InputError, match="cannot serve metrics"):
            await third.start()


def test_a_server_needs_bundles_and_each_once(tiny_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="--bundle"):
        EdgeServer([], EdgeSettings())
    with pytest.raises(InputError, match="the same bundle"):
        EdgeServer([tiny_bundle, Bundle(tiny_bundle.path, tiny_bundle.manifest)], EdgeSettings())


@pytest.mark.parametrize("change", [{"queue": 0}, {"max_batch": 0}, {"pending": -1}, {"threads": -1}, {"open": 0}])
def test_settings_out_of_range_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change))):
        EdgeSettings(**change)


@pytest.mark.parametrize(
    ("listen", "metrics", "address"),
    [
        ("10.0.0.7:50051", "9464", "10.0.0.7:9464"),
        ("[::]:50051", "9464", "[::]:9464"),
        ("unix:/run/edge.sock", "9464", "127.0.0.1:9464"),
        ("10.0.0.7:50051", "0.0.0.0:9464", "0.0.0.0:9464"),
        ("10.0.0.7:50051", None, "None"),
    ],
)
def test_a_bare_metrics_port_is_one_of_the_host_that_devices_find(
    listen: str, metrics: str | None, address: str
) -> None:
    assert str(EdgeSettings(listen=listen, metrics=metrics).metrics_address) == address


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", bytes(range(256)) * 40, b""]
)
async def test_garbage_at_the_port_disturbs_nobody(road: Road, garbage: bytes) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(garbage)
        if garbage:
            await asyncio.wait_for(reader.read(), 10)  # until it hangs up
        await device.request(payload)
        assert logits_of(await device.answer()) == pytest.approx(road.logits(payload, SPLIT, CODEC), abs=1e-4)
        writer.close()


async def test_health_is_known_for_the_service_and_for_each_bundle(road: Road) -> None:
    async with serving(road.bundle) as server, open_aio_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "offramp.wire.v1.Inference", "tiny"):
            reply = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="another"))
        assert caught.value.code() is Code.NOT_FOUND


async def test_reflection_names_the_services(road: Road) -> None:
    async with serving(road.bundle) as server, open_aio_channel(server.address) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        reply = await call.read()
        call.cancel()
    names = {service.name for service in reply.list_services_response.service}
    assert {"offramp.wire.v1.Inference", "grpc.health.v1.Health"} <= names


async def test_metrics_count_what_happened(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle, metrics="0") as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        for identity in range(3):
            await device.request(payload, id=identity)
            await device.answer()
        await device.request(b"bad", id=9)
        await device.answer()
        status, text = await fetch(server, "/metrics")
    assert status == 200
    where = '{bundle="tiny",split="2"}'
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines[f"offramp_edge_requests_total{where}"] == "4.0"
    assert lines[f"offramp_edge_answers_total{where}"] == "3.0"
    assert lines[f"offramp_edge_batch_size_count{where}"] == "3.0"
    assert float(lines[f"offramp_edge_received_bytes_total{where}"]) > 3 * len(payload)
    assert float(lines[f"offramp_edge_sent_bytes_total{where}"]) > 3 * 5 * 4
    assert lines['offramp_edge_refusals_total{reason="PayloadError"}'] == "1.0"
    assert lines["offramp_edge_streams"] == "1.0"
    assert lines["offramp_edge_queue_length"] == "0.0"
    assert lines["offramp_edge_busy_ratio"] == lines["offramp_edge_price"] == "0.0"  # before the first beat
    for phase in ("queue", "decode", "compute"):
        assert lines[f'offramp_edge_phase_seconds_count{{bundle="tiny",phase="{phase}",split="2"}}'] == "3.0"


async def test_metrics_count_who_left_at_a_branch(road: Road) -> None:
    everybody = ExitRule(policy="confidence", thresholds=((2, 0.0),))
    async with serving(road.bundle, metrics="0") as server, device_side(server) as device:
        await device.bind(road.binding(1, CODEC, tail=everybody))
        await device.request(road.payload(some_images(1)[0], 1, CODEC))
        await device.answer()
        _, text = await fetch(server, "/metrics")
    assert 'offramp_edge_early_answers_total{bundle="tiny",split="1"} 1.0' in text


async def test_load_balancers_see_whether_it_lives_and_takes_requests(road: Road) -> None:
    async with serving(road.bundle, metrics="0") as server:
        assert (await fetch(server, "/v2/health/live"))[0] == 200
        assert (await fetch(server, "/v2/health/ready"))[0] == 200
        assert (await fetch(server, "/etc/passwd"))[0] == 404


@pytest.mark.parametrize("known", [True, False])
async def test_with_mutual_tls_every_port_admits_only_known_clients(
    road: Road, certificates: Path, known: bool
) -> None:
    tls = ClientTls(ca=certificates / "ca.crt")
    web = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    if known:
        tls = replace(tls, cert=certificates / "board.crt", key=certificates / "board.key")
        web.load_cert_chain(certificates / "board.crt", certificates / "board.key")
    async with (
        serving(
            road.bundle,
            metrics="0",
            tls_cert=certificates / "edge.crt",
            tls_key=certificates / "edge.key",
            tls_client_ca=certificates / "ca.crt",
        ) as server,
        open_aio_channel(server.address, tls) as channel,
    ):
        page = f"https://{server.metrics_address}/v2/health/live"
        check = health_pb2_grpc.HealthStub(channel).Check
        if known:
            assert (await check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
            assert '"live": true' in await asyncio.to_thread(read_page, page, web)
        else:
            with pytest.raises(grpc.aio.AioRpcError):
                await check(health_pb2.HealthCheckRequest())
            with pytest.raises(OSError, match=r"certificate|EOF|closed|reset"):
                await asyncio.to_thread(read_page, page, web)


def read_page(url: str, context: ssl.SSLContext) -> str:
    with urllib.request.urlopen(url, timeout=5, context=context) as reply:
        text: str = reply.read().decode()
        return text


async def test_a_client_that_says_nothing_does_not_keep_others_from_the_metrics(road: Road, certificates: Path) -> None:
    web = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    pair = {"tls_cert": certificates / "edge.crt", "tls_key": certificates / "edge.key"}
    async with serving(road.bundle, metrics="0", **pair) as server:
        assert server.metrics_address is not None
        with socket.create_connection((server.metrics_address.host, server.metrics_address.port)):
            page = f"https://{server.metrics_address}/v2/health/live"
            assert '"live": true' in await asyncio.to_thread(read_page, page, web)


async def test_stopping_finishes_what_was_taken_and_refuses_the_rest(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with (
            serving(road.bundle, open_runtime=gate.runtime, metrics="0") as server,
            device_side(server) as device,
        ):
            await device.bind(road.binding(SPLIT, CODEC))
            for identity in (1, 2, 3):
                await device.request(payload, id=identity)
            while server.waiting < 2:
                await asyncio.sleep(0.01)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.05)
            assert (await fetch(server, "/v2/health/ready"))[0] == 503
            await device.request(payload, id=4)
            refused = await device.answer()
            assert (refused.id, refused.error.code) == (4, Code.UNAVAILABLE.value[0])
            gate.open()
            answers = await device.answers(3)
            assert set(answers) == {1, 2, 3}
            for answer in answers.values():
                logits_of(answer)
            assert await device.code() is Code.UNAVAILABLE
            await stopping


async def test_an_idle_server_stops_at_once_though_streams_and_watchers_are_open(road: Road) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        async with open_aio_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            assert await asyncio.wait_for(server.stop(Seconds(60.0)), 10)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await device.code() is Code.UNAVAILABLE


async def test_a_model_that_hangs_does_not_hold_up_the_stop_for_longer_than_the_grace(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload)
            await gate.busy()
            assert not await asyncio.wait_for(server.stop(Seconds(0.1)), 5)
            assert await device.code() is not Code.OK


async def test_a_stopped_server_may_start_again_on_its_port(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server:
        address = str(server.address)
    async with EdgeServer([road.bundle], EdgeSettings(listen=address)) as again, device_side(again) as device:
        assert str(again.address) == address
        await device.bind(road.binding(SPLIT, CODEC))
        await device.request(payload)
        assert logits_of(await device.answer()) == pytest.approx(road.logits(payload, SPLIT, CODEC), abs=1e-4)
