"""Requests via a bottleneck, over the wire: decoder and tail at the edge, and whom they share a model call with."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.plan import ExitRule
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.units import Seconds
from offramp_edge_server.profiling import measure_tails
from tests.edge_server.edge import Gate, Road, device_side, logits_of, serving
from tests.support.tiny_bundle import some_images

SLIM, OWN = "slim/affine4:3+range", "own/affine8:2"
IMAGES = some_images(4, seed=3)
SURE = ExitRule(policy="confidence", thresholds=((3, 0.6),))


@pytest.fixture(scope="module")
def detour(detoured_bundle: Bundle) -> Iterator[Road]:
    road = Road(detoured_bundle)
    yield road
    road.close()


@pytest.mark.parametrize(("split", "codec"), [(1, SLIM), (1, "slim/affine8"), (2, OWN)])
async def test_a_code_is_answered_by_its_decoder_and_tail(detour: Road, split: int, codec: str) -> None:
    async with serving(detour.bundle) as server, device_side(server) as device:
        assert not (await device.bind(detour.binding(split, codec))).HasField("error")
        for number, image in enumerate(IMAGES):
            payload = detour.payload(image, split, codec)
            await device.request(payload, id=number)
            answer = await device.answer()
            assert logits_of(answer) == pytest.approx(detour.logits(payload, split, codec), abs=1e-4)


async def test_rates_of_one_bottleneck_share_a_model_call_and_features_do_not(detour: Road) -> None:
    codecs = (SLIM, "slim/affine2", "affine8")
    payloads = [detour.payload(IMAGES[0], 1, codec) for codec in codecs]
    with Gate() as gate:
        async with serving(detour.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            for ref, codec in enumerate((*codecs, OWN), start=1):
                await device.bind(detour.binding(2 if codec == OWN else 1, codec), ref=ref)
            await device.request(detour.payload(IMAGES[0], 2, OWN), ref=4, id=4)
            await gate.busy()
            for number, payload in enumerate(payloads, start=1):
                await device.request(payload, ref=number, id=number)
            while server.waiting < 3:
                await asyncio.sleep(0.01)
            gate.open()
            answers = await device.answers(4)
    assert [answers[number].batch for number in (1, 2, 3)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ({"codec": "slum/affine8"}, "no bottleneck 'slum'"),
        ({"codec": "own/affine8"}, "leads around cut 2"),
        ({"codec": "slim/affine8:7"}, "slim has 6 channels"),
        ({"tensors": (((8, 16, 16), "float32"),)}, "the tensors are float32[6, 8, 8], not float32[8, 16, 16]"),
        ({"split": 2, "codec": OWN, "tensors": (((6, 4, 4), "float32"),), "tail": SURE}, "has a tail of its own"),
    ],
)
async def test_a_bottleneck_that_cannot_be_used_is_refused(detour: Road, binding: dict[str, Any], message: str) -> None:
    async with serving(detour.bundle) as server, device_side(server) as device:
        bound = await device.bind(replace(detour.binding(1, "slim/affine8"), **binding))
    assert message in bound.error.message


def test_an_edge_times_the_tails_of_codes_before_it_joins_a_fleet(detoured_bundle: Bundle) -> None:
    with OnnxRuntime(detoured_bundle) as runtime:
        profile = measure_tails(detoured_bundle, runtime, SystemClock(), threads=1, rounds=1, pause=Seconds(0.0))
    assert {"1-4~slim", "2-4~own", "1-4", "2-4"} <= set(profile.segments)
    assert {"1:slim/affine4:3+range", "2:own/affine8"} <= set(profile.decode)
