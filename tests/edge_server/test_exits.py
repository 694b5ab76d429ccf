"""Exits at the edge, over the wire: who leaves where, under which load, and by which classes an answer may be given."""

import asyncio

import numpy as np
import pytest

from offramp.plan import ExitRule
from offramp.wire.convert import alive_to_proto
from tests.edge_server.edge import Gate, Road, device_side, logits_of, serving
from tests.support.tiny_bundle import some_images

SPLIT, CODEC, BRANCH = 1, "float32", 2
SURE = ExitRule(policy="confidence", thresholds=((BRANCH, 0.6),))
ALL = ExitRule(policy="confidence", thresholds=((BRANCH, 0.0),))
CLASSES = 5
IMAGES = some_images(16, seed=11)


def sure(road: Road, image: np.ndarray) -> bool:
    scores_NS = road.segment(0, BRANCH, branch=True).run((image[None],)).scores_NS
    assert scores_NS is not None
    return bool(scores_NS[0, 0] >= 0.6)


async def test_whoever_is_sure_at_a_branch_leaves_there_and_the_answer_says_so(road: Road) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC, tail=SURE))
        for number, image in enumerate(IMAGES):
            await device.request(road.payload(image, SPLIT, CODEC), id=number)
        answers = await device.answers(len(IMAGES))
    expected = [BRANCH if sure(road, image) else 0 for image in IMAGES]
    assert {0, BRANCH} == set(expected)
    assert [answers[number].exit for number in range(len(IMAGES))] == expected
    for number, image in enumerate(IMAGES):
        leg = road.segment(0, BRANCH, branch=True) if expected[number] else road.segment(0, 4, branch=False)
        logits_NK = leg.run((image[None],)).logits_NK
        assert logits_NK is not None
        assert logits_of(answers[number]) == pytest.approx(logits_NK[0], abs=1e-4)


async def test_two_devices_with_the_same_exits_share_a_model_call_and_others_do_not(road: Road) -> None:
    payload = road.payload(IMAGES[0], SPLIT, CODEC)
    with Gate() as gate:
        async with (
            serving(road.bundle, open_runtime=gate.runtime) as server,
            device_side(server) as first,
            device_side(server) as second,
            device_side(server) as third,
        ):
            bindings = [road.binding(SPLIT, CODEC, tail=rule) for rule in (SURE, SURE, ALL)]
            for device, binding in zip((first, second, third), bindings, strict=True):
                await device.bind(binding)
            await third.request(payload)
            await gate.busy()
            for device in (first, second):
                await device.request(payload)
            while server.waiting < 2:
                await asyncio.sleep(0.01)
            gate.open()
            answers = [await device.answer() for device in (first, second, third)]
    assert [answer.batch for answer in answers] == [2, 2, 1]


async def test_exits_apply_only_while_enough_requests_wait(road: Road) -> None:
    payload = road.payload(IMAGES[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC, tail=ALL, queue=2))
        await device.request(payload)
        assert (await device.answer()).exit == 0
        await device.bind(road.binding(SPLIT, CODEC, tail=ALL, queue=1), ref=2)
        await device.request(payload, ref=2)
        assert (await device.answer()).exit == BRANCH


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (ExitRule(policy="confidence", thresholds=((3, 0.9),)), "cannot ask branch 3"),
        (ExitRule(policy="difference", thresholds=((2, 0.1),)), "keeps no state of streams"),
        (ExitRule(policy="confidnce", thresholds=((2, 0.1),)), "did you mean 'confidence'"),
    ],
)
async def test_exits_that_no_edge_can_follow_are_refused_with_their_binding(
    road: Road, rule: ExitRule, says: str
) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        bound = await device.bind(road.binding(SPLIT, CODEC, tail=rule))
    assert says in bound.error.message


@pytest.mark.parametrize("tail", [None, ALL], ids=["at the end", "at a branch"])
async def test_the_answer_is_one_of_the_classes_that_are_alive(road: Road, tail: ExitRule | None) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC) if tail is None else road.binding(SPLIT, CODEC, tail=tail))
        payload = road.payload(IMAGES[0], SPLIT, CODEC)
        await device.request(payload)
        best = logits_of(await device.answer()).argsort()[::-1]
        alive_K = np.ones(CLASSES, bool)
        alive_K[best[0]] = False
        await device.request(payload, alive=alive_to_proto(alive_K))
        logits_K = logits_of(await device.answer())
    assert logits_K.argmax() == best[1]
    assert (np.isneginf(logits_K) == ~alive_K).all()


@pytest.mark.parametrize(
    ("alive", "says"),
    [(b"\0", "excludes all 5 classes"), (b"\1\1", "has 1 bytes"), (b"\x20", "past the last of 5 classes")],
)
async def test_a_malformed_bitmap_is_refused_alone(road: Road, alive: bytes, says: str) -> None:
    payload = road.payload(IMAGES[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        await device.request(payload, id=1, alive=alive)
        refused = await device.answer()
        await device.request(payload, id=2)
        answered = await device.answer()
    assert says in refused.error.message
    assert not answered.HasField("error")


async def test_the_top_classes_are_those_that_are_alive(road: Road) -> None:
    payload = road.payload(IMAGES[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC, top_k=2))
        await device.request(payload)
        best, second = (await device.answer()).classes
        await device.request(payload, alive=alive_to_proto(np.arange(CLASSES) != best))
        assert (await device.answer()).classes[0] == second
