"""The device inside a program: the whole road in one process, over a real bundle."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.codecs.catalog import open_codec
from offramp.errors import BundleError, DataError, InputError, LinkError, PlanError
from offramp.records import Answered, Revision
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.units import Seconds
from offramp_device import Device, LoopbackUplink, LostUplink
from offramp_device.engine import open_engine
from offramp_device.flight import Flight
from offramp_device.route import Route
from offramp_device.uplink import Deliver
from tests.support.tiny_bundle import some_images, write_tiny_bundle

IMAGES = some_images(8)


@pytest.mark.parametrize(
    "plan", ["split=0, codec=raw", "split=1, codec=float32", "split=3, codec=float32+zstd", "split=end"]
)
def test_head_and_tail_answer_as_the_whole_network(plan: str, tiny_bundle: Bundle) -> None:
    samples, logits_NK = tiny_bundle.reference()
    with Device.open(tiny_bundle, edge=LoopbackUplink(tiny_bundle), plan=plan) as device:
        found = [device.infer(sample).logits for sample in samples]
    assert np.abs(np.stack(found) - logits_NK).max() <= 1e-4 * np.abs(logits_NK).max()  # type: ignore[arg-type]


def test_the_loopback_edge_really_encodes_and_decodes(tiny_bundle: Bundle) -> None:
    codec = open_codec("affine8+zstd", tiny_bundle.manifest, 2)
    with OnnxRuntime(tiny_bundle) as runtime:
        feature = runtime.open(0, 2, branch=False).run((IMAGES[:1],)).feature
        payload = codec.encode(feature)
        expected = runtime.open(2, 4, branch=False).run(codec.decode(payload)).logits_NK
    with Device.open(tiny_bundle, edge=LoopbackUplink(tiny_bundle), plan="split=2, codec=affine8+zstd") as device:
        result = device.infer(IMAGES[0])
    assert result.payload_bytes == len(payload)
    assert np.allclose(result.logits, expected[0], rtol=1e-5)  # type: ignore[index, arg-type]
    assert result.timings.edge is not None


def test_an_edge_that_cannot_decode_is_a_degraded_answer_with_its_reason(tiny_bundle: Bundle) -> None:
    class Truncating(LoopbackUplink):
        def send(self, flight: Flight, deliver: Deliver) -> str:
            flight.payload = flight.payload[:-1]
            return super().send(flight, deliver)

    with Device.open(tiny_bundle, edge=Truncating(tiny_bundle), plan="split=2, codec=affine8") as device:
        result = device.infer(IMAGES[0])
    assert result.answered is Answered.DEGRADED
    assert "bytes" in result.reason


def test_without_an_edge_and_a_plan_the_device_answers_alone_and_not_degraded(tiny_bundle: Bundle) -> None:
    with Device.open(tiny_bundle) as device:
        answers = {device.infer(image).answered for image in IMAGES}
    assert answers == {Answered.DEVICE}


def test_another_plan_is_adopted_between_two_samples(tiny_bundle: Bundle) -> None:
    with Device.open(tiny_bundle, edge=LoopbackUplink(tiny_bundle), plan="split=1, codec=float32") as device:
        before = device.infer(IMAGES[0])
        device.adopt("split=end, exit=confidence:0@2", Revision(3, 1))
        after = device.infer(IMAGES[0])
    assert (before.answered, before.revision) == (Answered.EDGE, (0, 0))
    assert (after.answered, after.exit, after.revision) == (Answered.DEVICE, 2, (3, 1))


def test_an_older_plan_is_refused(tiny_bundle: Bundle) -> None:
    with Device.open(tiny_bundle) as device:
        device.adopt("split=end", Revision(3, 1))
        with pytest.raises(PlanError, match=r"plan 2\.9 is older than 3\.1"):
            device.adopt("split=end", Revision(2, 9))


def test_a_plan_that_the_bundle_cannot_follow_leaves_the_old_one_in_use(tiny_bundle: Bundle) -> None:
    with Device.open(tiny_bundle, plan="split=end") as device:
        with pytest.raises(PlanError):
            device.adopt("split=7")
        assert device.plan.split == 4
        assert device.infer(IMAGES[0]).answered is Answered.DEVICE


class Watched(LoopbackUplink):
    """Says when it is closed; `reason` makes it unready."""

    def __init__(self, bundle: Bundle, reason: str = "") -> None:
        super().__init__(bundle)
        self.reason = reason
        self.sent = 0
        self.closed = threading.Event()

    def unready(self, route: Route) -> str:
        return self.reason

    def send(self, flight: Flight, deliver: Deliver) -> str:
        self.sent += 1
        return super().send(flight, deliver)

    def close(self) -> None:
        self.closed.set()


OFFLOAD = "split=1, codec=float32"


def test_another_edge_is_taken_and_the_one_before_is_closed_when_its_flights_have_landed(tiny_bundle: Bundle) -> None:
    here, there = Watched(tiny_bundle), Watched(tiny_bundle)
    with Device.open(tiny_bundle, edge=here, plan=OFFLOAD, deadline=Seconds(0.1)) as device:
        device.infer(IMAGES[0])
        device.adopt(OFFLOAD, Revision(1, 1), uplink=there)
        assert not here.closed.is_set()
        device.infer(IMAGES[1])
        assert here.closed.wait(timeout=10)
        assert (here.sent, there.sent, there.closed.is_set()) == (1, 1, False)
    assert there.closed.is_set()


def test_a_device_does_not_leave_an_edge_that_answers_for_one_that_does_not(tiny_bundle: Bundle) -> None:
    here, there = Watched(tiny_bundle), Watched(tiny_bundle, "no edge")
    with Device.open(tiny_bundle, edge=here, plan=OFFLOAD) as device:
        with pytest.raises(LinkError, match="the edge to move to is not ready: no edge"):
            device.adopt(OFFLOAD, Revision(1, 1), uplink=there)
        here.reason = "the link broke"
        device.adopt(OFFLOAD, Revision(1, 1), uplink=there)
        assert device.pipeline.uplink is there


def test_closing_a_device_closes_the_edge_that_it_has_just_left_too(tiny_bundle: Bundle) -> None:
    here, there = Watched(tiny_bundle), Watched(tiny_bundle)
    with Device.open(tiny_bundle, edge=here, plan=OFFLOAD) as device:
        device.adopt(OFFLOAD, uplink=there)
    assert here.closed.is_set()


def test_another_bundle_is_run_from_one_sample_to_the_next(tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=5)
    samples, logits_NK = other.reference()
    with Device.open(tiny_bundle, plan="split=end") as device:
        device.infer(IMAGES[0])
        device.adopt("split=end", Revision(1, 1), engine=open_engine(other, device.clock))
        found_K = device.infer(samples[0]).logits
        assert device.manifest.model_digest == other.manifest.model_digest
    assert np.allclose(found_K, logits_NK[0], rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


def test_several_threads_may_ask_while_the_plan_changes(tiny_bundle: Bundle) -> None:
    plans = ["split=1, codec=float32", "split=end", "split=3, exit=confidence:0.5, codec=float16"]
    with (
        Device.open(tiny_bundle, edge=LoopbackUplink(tiny_bundle), plan=plans[0]) as device,
        ThreadPoolExecutor(4) as pool,
    ):
        waiting = [pool.submit(device.infer, IMAGES[number % 8]) for number in range(200)]
        for number in range(20):
            device.adopt(plans[number % 3])
        results = [item.result() for item in waiting]
    assert sorted(result.index for result in results) == list(range(200))
    assert {result.answered for result in results} <= {Answered.EDGE, Answered.DEVICE}


def test_an_emulated_board_takes_longer_and_answers_the_same(tiny_bundle: Bundle) -> None:
    slept: list[float] = []

    class Sleepless(SystemClock):
        def sleep(self, duration: Seconds) -> None:
            slept.append(duration)

    from offramp.planning.resolve import resolve
    from offramp.runtime.board import SlowedRuntime

    runtime = SlowedRuntime(OnnxRuntime(tiny_bundle), 10.0, Sleepless())
    plan = resolve("split=end", tiny_bundle.manifest)
    with Device(tiny_bundle.manifest, runtime, LostUplink(), plan) as device:
        slow = device.infer(IMAGES[0])
    with Device.open(tiny_bundle, plan="split=end") as device:
        assert device.infer(IMAGES[0]).label == slow.label
    assert len(slept) == 1


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"plan": "split=9"}, PlanError, "past the end"),
        ({"edge": "nobody"}, InputError, "HOST:PORT"),
        ({"slowdown": 0.5}, InputError, "0.5"),
    ],
)
def test_what_cannot_be_opened_says_why(
    named: dict[str, object], error: type[Exception], message: str, tiny_bundle: Bundle
) -> None:
    with pytest.raises(error, match=message):
        Device.open(tiny_bundle, **named)  # type: ignore[arg-type]


def test_a_folder_that_is_no_bundle_says_so(tmp_path: object) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Device.open(str(tmp_path))


def test_a_sample_of_another_shape_says_what_is_expected(tiny_bundle: Bundle) -> None:
    with Device.open(tiny_bundle) as device, pytest.raises(DataError, match=r"uint8 \[16, 16, 3\]"):
        device.infer(np.zeros((3, 16, 16), np.float32))
