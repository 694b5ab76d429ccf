"""The session against real edges that are killed, wrong, garbage, slow, or there twice."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.plan import parse_plan
from offramp.records import Answered, Result
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.units import Seconds
from offramp_device import Device
from offramp_device.uplink import LoopbackUplink
from tests.device.processes import RunningDevice, a_link, an_edge, run_device
from tests.support.certificates import make_certificates
from tests.support.tiny_bundle import some_images, write_tiny_bundle

pytestmark = pytest.mark.system

OFFLOAD = "split=2, exit=none, codec=affine8+zstd"


def test_an_edge_that_is_killed_and_comes_back_costs_no_sample(tiny_bundle: Bundle) -> None:
    with an_edge(tiny_bundle.path) as edge:
        address = edge.address
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", address, "--source", "camera-digits", "--rate", 30,
            "--limit", 160, "--plan", OFFLOAD,
        )  # fmt: skip
        while device.line().get("index") != 20:
            pass
        edge.kill()
        while device.line().get("index") != 50:
            pass
    with an_edge(tiny_bundle.path, address):
        back = device.line()["index"]
        done = device.finish()
    assert sorted(line["index"] for line in done.results) == list(range(160))
    by_index = {line["index"]: line["answered"] for line in done.results}
    assert set(by_index.values()) == {"edge", "degraded"}
    resumed = next(index for index in range(back, 160) if by_index[index] == "edge")
    assert resumed - back <= 3 * 30  # 3 s, at 30 a second
    assert {by_index[index] for index in range(resumed, 160)} == {"edge"}
    assert done.summary["connections"] == 2
    assert f"connected to the edge at {address} again" in done.said


def test_on_a_thin_link_every_answer_is_in_time_and_every_sample_has_its_result(tiny_bundle: Bundle) -> None:
    """0.1 Mbit/s, ten frames a second of 2 kB each: at most six a second fit."""
    with an_edge(tiny_bundle.path) as edge, a_link(edge.address, "100kbit,20ms") as link:
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", link.address, "--source", "camera-digits", "--rate", 10,
            "--limit", 45, "--plan", "split=1, exit=none, codec=affine8",
        )  # fmt: skip
        device.line()
        before = psutil.Process(device.process.pid).memory_info().rss
        while device.line()["index"] < 40:
            after = psutil.Process(device.process.pid).memory_info().rss
        done = device.finish()
    assert sorted(line["index"] for line in done.results) == list(range(45))
    assert all(line["latency"] <= 1.0 for line in done.results if line["answered"] != "rejected")
    assert done.count("edge") > 0
    assert done.count("degraded") > 0
    assert after - before < 20e6


def test_offloading_pauses_in_an_outage_and_resumes_after_it(tiny_bundle: Bundle) -> None:
    with an_edge(tiny_bundle.path) as edge, a_link(edge.address, "20mbit,5ms") as link:
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", link.address, "--source", "camera-digits", "--rate", 20,
            "--limit", 160, "--plan", OFFLOAD, "--deadline", "300ms",
        )  # fmt: skip
        while device.line().get("index") != 10:
            pass
        link.say("outage")
        while device.line()["index"] < 85:
            pass
        link.say("20mbit,5ms")
        back = device.line()["index"]
        done = device.finish()
    by_index = {line["index"]: line["answered"] for line in done.results}
    assert sorted(by_index) == list(range(160))
    assert {by_index[index] for index in range(30, 80)} == {"degraded"}
    assert "edge" in {by_index[index] for index in range(back, back + 60)}  # within 3 s
    assert by_index[159] == "edge"


def test_an_edge_with_another_bundle_is_named_once_and_the_device_answers_alone(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=5)
    with an_edge(other.path) as edge:
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", edge.address, "--source", "camera-digits", "--rate", 50,
            "--limit", 40, "--plan", OFFLOAD,
        )  # fmt: skip
        done = device.finish()
    assert done.count("degraded") == 40
    assert done.said.count("refuses the plan") == 1
    assert tiny_bundle.manifest.model_digest[:12] in done.said


@contextmanager
def a_garbage_peer() -> Iterator[str]:
    """Accepts every connection and sends bytes that are no HTTP/2."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n\xff\x00garbage" * 50)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()
        server.close()


def test_a_peer_that_sends_garbage_is_named_and_the_device_answers_alone(tiny_bundle: Bundle) -> None:
    with a_garbage_peer() as address:
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", address, "--source", "camera-digits", "--rate", 20,
            "--limit", 40, "--plan", OFFLOAD,
        )  # fmt: skip
        done = device.finish()
    assert (done.code, done.count("degraded")) == (0, 40)
    assert f"no edge at {address}" in done.said
    assert "Traceback" not in done.said


def test_a_peer_that_says_nothing_at_all_does_not_hold_the_device_up(tiny_bundle: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with Device.open(tiny_bundle, edge=address, plan=OFFLOAD) as device:
            opened = time.monotonic() - begun
            result = device.infer(some_images(1)[0])
    assert opened < 5
    assert result.answered is Answered.DEGRADED


@pytest.mark.parametrize("known", [True, False])
def test_over_tls_a_known_device_is_served_and_an_unknown_one_answers_alone(
    known: bool, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path / "certificates")
    own = ["--tls-cert", made / "board.crt", "--tls-key", made / "board.key"] if known else []
    flags = ["--tls-cert", made / "edge.crt", "--tls-key", made / "edge.key", "--tls-client-ca", made / "ca.crt"]
    with an_edge(tiny_bundle.path, "127.0.0.1:0", *flags) as edge:
        done = run_device(
            "--bundle", tiny_bundle.path, "--edge", edge.address, "--source", "camera-digits", "--limit", 5,
            "--plan", OFFLOAD, "--tls-ca", made / "ca.crt", "--tls-name", "edge.test", *own,
        )  # fmt: skip
    assert done.count("edge" if known else "degraded") == 5, done.said


def test_two_devices_on_different_plans_never_disturb_each_other(tiny_bundle: Bundle) -> None:
    """Splits, codecs and swaps in mid-stream: each logit vector equals the same codec path in one process."""
    images = some_images(16)
    plans = [
        ("split=1, exit=none, codec=float16", "split=3, exit=none, codec=affine8+zstd"),
        ("split=0, exit=none, codec=png", "split=2, exit=none, codec=float32"),
    ]

    def converse(address: str, first: str, second: str) -> list[Result]:
        results = []
        with Device.open(tiny_bundle, edge=address, plan=first) as device:
            for index in range(150):
                results.append(device.infer(images[index % 16]))
                if index % 50 == 49:
                    device.adopt(second if index % 100 == 49 else first)
        return results

    with an_edge(tiny_bundle.path) as edge, ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda pair: converse(edge.address, *pair), plans))
    for (first, second), results in zip(plans, runs, strict=True):
        expected = {plan: _logits(tiny_bundle, plan, images) for plan in (first, second)}
        assert [result.answered for result in results] == [Answered.EDGE] * 150
        for index, result in enumerate(results):
            truth_K = expected[second if 50 <= index < 100 else first][index % 16]
            assert result.logits is not None
            assert np.abs(result.logits - truth_K).max() <= 1e-4 * np.abs(truth_K).max()


@pytest.mark.parametrize(
    "plan",
    [
        "split=0, tail=confidence:0.7@1/0.6@2, codec=raw",
        "split=1, exit=exclusion:0.6@1, tail=confidence:0.5@2, mask=on, codec=affine8",
        "split=2, exit=difference:0.05@1/0.05@2, codec=affine8+zstd",
    ],
)
def test_over_a_socket_a_stream_is_answered_as_in_one_process(tiny_bundle: Bundle, plan: str) -> None:
    """Exits at the edge, excluded classes and scenes: two frames of each."""
    frames = np.repeat(some_images(12, seed=3), 2, axis=0)
    with an_edge(tiny_bundle.path) as edge:
        found = []
        for where in (edge.address, LoopbackUplink(tiny_bundle)):
            with Device.open(tiny_bundle.path, edge=where, plan=plan, deadline=Seconds(20.0)) as device:
                results = [device.infer(frame) for frame in frames]
            found.append([(one.answered, one.label, one.exit, one.payload_bytes) for one in results])
    assert found[0] == found[1]
    assert len({place for _, _, place, _ in found[0]}) > 1


def test_one_device_may_be_asked_by_several_threads(tiny_bundle: Bundle) -> None:
    images = some_images(16)
    expected = _logits(tiny_bundle, OFFLOAD, images)
    with (
        an_edge(tiny_bundle.path) as edge,
        Device.open(tiny_bundle, edge=edge.address, plan=OFFLOAD) as device,
        ThreadPoolExecutor(4) as pool,
    ):
        results = list(pool.map(lambda index: device.infer(images[index % 16]), range(200)))
    assert len({result.index for result in results}) == 200
    for number, result in enumerate(results):
        assert result.logits is not None
        assert np.abs(result.logits - expected[number % 16]).max() <= 1e-4 * np.abs(expected[number % 16]).max()


def test_closing_answers_what_is_away(tiny_bundle: Bundle) -> None:
    """The edge is there but the link stalls: a thread waits in `infer` while another closes the device."""
    with an_edge(tiny_bundle.path) as edge, a_link(edge.address, "20mbit,5ms") as link:
        device = Device.open(tiny_bundle, edge=link.address, plan=OFFLOAD)
        link.say("outage")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(device.infer, some_images(1)[0])
            while not len(device.pipeline.uplink._ledger):  # type: ignore[attr-defined]
                time.sleep(0.01)
            device.close()
            result = waiting.result(timeout=10)
    assert (result.answered, result.reason) == (Answered.DEGRADED, "the device is stopping")


def test_the_bytes_that_are_counted_are_those_that_cross_the_socket(tiny_bundle: Bundle) -> None:
    counted, crossed = 0, []
    with (
        an_edge(tiny_bundle.path) as edge,
        _a_counting_proxy(edge.address, crossed) as address,
        Device.open(tiny_bundle, edge=address, plan="split=1, exit=none, codec=float32") as device,
    ):
        for image in some_images(16):
            device.infer(image)
        time.sleep(0.2)
        before = sum(crossed)
        for image in some_images(16):
            counted += device.infer(image).wire_bytes
        time.sleep(0.05)
        after = sum(crossed)
    assert counted == pytest.approx(after - before, rel=0.02)


@contextmanager
def _a_counting_proxy(to: str, crossed: list[int]) -> Iterator[str]:
    """Passes bytes on, and notes how many went up."""
    host, _, port = to.rpartition(":")
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, counts: list[int] | None) -> None:
        try:
            while data := source.recv(65_536):
                if counts is not None:
                    counts.append(len(data))
                sink.sendall(data)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        connection, _ = server.accept()
        onward = socket.create_connection((host, int(port)))
        ways = [(connection, onward, crossed), (onward, connection, None)]
        threads = [threading.Thread(target=pump, args=way) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.close()
        onward.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        thread.join(timeout=10)
        server.close()
        assert not thread.is_alive(), "the device has left its connection open"


def _logits(bundle: Bundle, plan: str, images: np.ndarray) -> list[np.ndarray]:
    """The same codec path, in one process, segment by segment."""
    written = parse_plan(plan)
    cut, end, codec = int(written.split), bundle.manifest.end, written.codec or ""
    logits = []
    with OnnxRuntime(bundle) as runtime:
        opened = open_codec(codec, bundle.manifest, cut)
        for image in images:
            feature = (image[None],)
            for start, stop in pairwise([0, cut] if cut else [0]):
                feature = runtime.open(start, stop, branch=False).run(feature).feature
            outputs = runtime.open(cut, end, branch=False).run(opened.decode(opened.encode(feature)))
            assert outputs.logits_NK is not None
            logits.append(outputs.logits_NK[0])
    return logits
