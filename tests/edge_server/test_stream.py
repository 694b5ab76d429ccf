"""The stream: what is bound, answered, refused."""

import asyncio
from dataclasses import replace

import grpc
import numpy as np
import pytest
import zstandard

from offramp.bundle.store import Bundle
from offramp.wire.convert import binding_to_proto
from offramp.wire.v1 import inference_pb2 as pb
from offramp_edge_server.stream import MAX_REFERENCES
from tests.edge_server.edge import FailingRuntime, Gate, Road, device_side, logits_of, serving
from tests.support.tiny_bundle import some_images

Code = grpc.StatusCode
SPLIT, CODEC = 2, "affine8+zstd"


def code_of(error: pb.Error) -> grpc.StatusCode:
    return next(code for code in Code if code.value[0] == error.code)


@pytest.mark.parametrize(
    ("split", "codec"), [(0, "raw"), (0, "jpeg:90"), (1, "float16+zstd"), (2, "affine8"), (3, "float32")]
)
async def test_an_answer_is_what_one_process_computes(road: Road, split: int, codec: str) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        assert not (await device.bind(road.binding(split, codec))).HasField("error")
        for identity, image in enumerate(some_images(5), start=1):
            payload = road.payload(image, split, codec)
            await device.request(payload, id=identity)
            answer = await device.answer()
            assert answer.id == identity
            np.testing.assert_allclose(logits_of(answer), road.logits(payload, split, codec), rtol=0, atol=1e-5)


async def test_two_streams_on_different_splits_never_disturb_each_other(road: Road) -> None:
    plans = [(0, "png"), (3, "float32")]
    images = some_images(60)

    async def one_device(split: int, codec: str) -> None:
        payloads = {identity: road.payload(image, split, codec) for identity, image in enumerate(images)}
        async with device_side(server) as device:
            await device.bind(road.binding(split, codec))
            for identity, payload in payloads.items():
                await device.request(payload, id=identity)
            answers = await device.answers(len(payloads))
        assert set(answers) == set(payloads)
        for identity, payload in payloads.items():
            expected = road.logits(payload, split, codec)
            np.testing.assert_allclose(logits_of(answers[identity]), expected, rtol=0, atol=1e-5)

    async with serving(road.bundle) as server:
        await asyncio.gather(*(one_device(split, codec) for split, codec in plans))


async def test_one_stream_may_use_two_references_at_a_time(road: Road) -> None:
    image = some_images(1)[0]
    early, late = road.payload(image, 1, "float32"), road.payload(image, 3, "float32")
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(1, "float32"), ref=10)
        await device.bind(road.binding(3, "float32"), ref=11)
        await device.request(early, ref=10, id=1)
        await device.request(late, ref=11, id=2)
        answers = await device.answers(2)
    np.testing.assert_allclose(logits_of(answers[1]), logits_of(answers[2]), rtol=0, atol=1e-5)


async def test_several_bundles_are_served_at_once(road: Road, other_bundle: Bundle) -> None:
    other = Road(other_bundle)
    payload = road.payload(some_images(1)[0], 0, "raw")
    async with serving(road.bundle, other_bundle) as server, device_side(server) as device:
        await device.bind(road.binding(0, "raw"), ref=1)
        await device.bind(other.binding(0, "raw"), ref=2)
        for ref, whose in ((1, road), (2, other)):
            await device.request(payload, ref=ref, id=ref)
            answer = await device.answer()
            np.testing.assert_allclose(logits_of(answer), whose.logits(payload, 0, "raw"), rtol=0, atol=1e-5)
    other.close()


async def test_batched_answers_equal_those_one_by_one(road: Road) -> None:
    payloads = [road.payload(image, SPLIT, CODEC) for image in some_images(9)]
    with Gate() as gate:
        async with (
            serving(road.bundle, open_runtime=gate.runtime, max_batch=4) as server,
            device_side(server) as device,
        ):
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payloads[0], id=0)
            await gate.busy()
            for identity, payload in enumerate(payloads[1:], start=1):
                await device.request(payload, id=identity)
            while server.waiting < 8:
                await asyncio.sleep(0.01)
            gate.open()
            answers = await device.answers(9)
    assert gate.batches == [1, 4, 4], "what is queued when the model becomes idle is the next batch"
    assert [answers[identity].batch for identity in range(9)] == [1, *[4] * 8]
    for identity, payload in enumerate(payloads):
        np.testing.assert_allclose(logits_of(answers[identity]), road.logits(payload, SPLIT, CODEC), rtol=0, atol=1e-5)


async def test_only_the_top_classes_come_back_when_only_they_are_asked_for(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    full = road.logits(payload, SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC, top_k=2))
        await device.request(payload)
        answer = await device.answer()
    assert list(answer.classes) == list(np.argsort(-full)[:2])
    np.testing.assert_allclose(logits_of(answer), np.sort(full)[::-1][:2], atol=1e-5)


async def test_an_answer_says_where_its_time_went(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        await device.request(payload)
        answer = await device.answer()
    assert answer.compute_us > 0
    assert answer.decode_us > 0
    assert answer.batch == 1


async def test_a_request_need_not_wait_for_its_binding(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        binding = binding_to_proto(road.binding(SPLIT, CODEC))
        await device.write(pb.ClientFrame(bind=pb.Bind(ref=1, binding=binding)))
        await device.request(payload)
        assert (await device.read()).WhichOneof("frame") == "bound"
        logits_of(await device.answer())


async def test_a_ping_is_answered_at_once_even_while_the_model_is_busy(road: Road) -> None:
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(road.payload(some_images(1)[0], SPLIT, CODEC), id=1)
            await gate.busy()
            await device.write(pb.ClientFrame(ping=pb.Ping(id=5, padding=b"x" * 1200)))
            assert (await device.read()).pong.id == 5
            gate.open()
            assert (await device.answer()).id == 1


async def test_a_device_that_has_finished_gets_all_its_answers_first(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            for identity in range(20):
                await device.request(payload, id=identity)
            await device.finish()
            await gate.busy()
            await asyncio.sleep(0.05)  # for the end of the stream to arrive before the answers leave
            gate.open()
            assert set(await device.answers(20)) == set(range(20))
            assert await device.code() is Code.OK


# What is refused: the stream goes on.

BROKEN: dict[str, tuple[dict[str, object], grpc.StatusCode, str]] = {
    "a cut past the end": ({"split": 99}, Code.INVALID_ARGUMENT, "split at 0 to 3"),
    "the end itself": ({"split": 4}, Code.INVALID_ARGUMENT, "nothing to run"),
    "an unknown codec": ({"codec": "affine9"}, Code.INVALID_ARGUMENT, "did you mean 'affine8'"),
    "a codec of other cuts": ({"codec": "jpeg:75"}, Code.INVALID_ARGUMENT, "jpeg"),
    "no codec": ({"codec": "none"}, Code.INVALID_ARGUMENT, "none"),
    "other shapes": ({"tensors": (((9, 9), "float32"),)}, Code.INVALID_ARGUMENT, "not float32[9, 9]"),
    "no shapes": ({"tensors": ()}, Code.INVALID_ARGUMENT, "not none"),
    "huge shapes": ({"tensors": (((2**31, 2**31), "float32"),)}, Code.FAILED_PRECONDITION, "elements"),
    "another bundle": ({"model_digest": "ab" * 32}, Code.NOT_FOUND, "no bundle abababababab is served here, but: tiny"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_binding_that_does_not_fit_is_refused_and_the_stream_goes_on(road: Road, what: str) -> None:
    change, code, says = BROKEN[what]
    async with serving(road.bundle) as server, device_side(server) as device:
        bound = await device.bind(replace(road.binding(SPLIT, CODEC), **change))  # type: ignore[arg-type]
        assert code_of(bound.error) is code
        assert says in bound.error.message
        assert not (await device.bind(road.binding(SPLIT, CODEC))).HasField("error"), "the reference is still unused"


async def test_a_reference_is_bound_once(road: Road) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        bound = await device.bind(road.binding(0, "raw"))
        assert code_of(bound.error) is Code.FAILED_PRECONDITION
        assert "bound already" in bound.error.message


async def test_a_request_under_an_unbound_reference_is_refused(road: Road) -> None:
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.request(b"", ref=3, id=8)
        answer = await device.answer()
        assert (answer.id, code_of(answer.error)) == (8, Code.FAILED_PRECONDITION)
        assert "bind it first" in answer.error.message


async def test_a_long_stream_may_bind_for_ever_and_the_reference_used_longest_ago_is_forgotten(road: Road) -> None:
    payload = road.payload(some_images(1)[0], 3, "float32")
    async with serving(road.bundle) as server, device_side(server) as device:
        for ref in range(MAX_REFERENCES):
            await device.bind(road.binding(3, "float32"), ref=ref)
        await device.request(payload, ref=0, id=1)
        logits_of(await device.answer())
        await device.bind(road.binding(3, "float32"), ref=MAX_REFERENCES)
        await device.request(payload, ref=0, id=2)
        logits_of(await device.answer())
        await device.request(payload, ref=1, id=3)
        assert "not bound" in (await device.answer()).error.message


BAD_PAYLOADS = {
    "empty": lambda payload: b"",
    "truncated": lambda payload: payload[:-3],
    "too long": lambda payload: payload + b"\0" * 100_000,
    "garbage": lambda payload: bytes(range(256)),
    "a zstd bomb": lambda payload: zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28)),
    "a zstd bomb that hides its size": lambda payload: zstandard.ZstdCompressor(
        level=1, write_content_size=False
    ).compress(bytes(1 << 26)),
}


@pytest.mark.parametrize("what", BAD_PAYLOADS)
async def test_a_bad_payload_is_refused_alone(road: Road, what: str) -> None:
    good = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        await device.request(BAD_PAYLOADS[what](good), id=1)
        await device.request(good, id=2)
        answers = await device.answers(2)
    assert code_of(answers[1].error) is Code.INVALID_ARGUMENT
    np.testing.assert_allclose(logits_of(answers[2]), road.logits(good, SPLIT, CODEC), rtol=0, atol=1e-5)


async def test_a_bad_payload_in_a_batch_does_not_spoil_the_others(road: Road) -> None:
    good = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(good, id=0)
            await gate.busy()
            for identity, payload in enumerate([good, b"bad", good], start=1):
                await device.request(payload, id=identity)
            while server.waiting < 3:
                await asyncio.sleep(0.01)
            gate.open()
            answers = await device.answers(4)
    assert gate.batches == [1, 2]
    assert [answers[identity].HasField("error") for identity in range(4)] == [False, False, True, False]
    np.testing.assert_array_equal(logits_of(answers[1]), logits_of(answers[3]))


async def test_a_request_whose_budget_ran_out_in_the_queue_is_not_started(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload, id=1)
            await gate.busy()
            await device.request(payload, id=2, budget=0.001)
            await device.request(payload, id=3, budget=60.0)
            while server.waiting < 2:
                await asyncio.sleep(0.01)
            gate.open()
            answers = await device.answers(3)
    assert code_of(answers[2].error) is Code.DEADLINE_EXCEEDED
    assert not answers[1].HasField("error")
    assert not answers[3].HasField("error")
    assert gate.batches == [1, 1]


async def test_a_full_queue_refuses_at_once_and_says_so(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime, queue=2) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload, id=0)
            await gate.busy()
            for identity in (1, 2, 3):
                await device.request(payload, id=identity)
            refused = await device.answer()
            assert (refused.id, code_of(refused.error)) == (3, Code.RESOURCE_EXHAUSTED)
            gate.open()
            assert set(await device.answers(3)) == {0, 1, 2}


async def test_one_stream_cannot_take_the_whole_queue(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with (
            serving(road.bundle, open_runtime=gate.runtime, pending=2) as server,
            device_side(server) as greedy,
            device_side(server) as modest,
        ):
            for device in (greedy, modest):
                await device.bind(road.binding(SPLIT, CODEC))
            for identity in (1, 2, 3):
                await greedy.request(payload, id=identity)
            refused = await greedy.answer()
            assert (refused.id, code_of(refused.error)) == (3, Code.RESOURCE_EXHAUSTED)
            await modest.request(payload)
            gate.open()
            logits_of(await modest.answer())
            assert set(await greedy.answers(2)) == {1, 2}


async def test_an_id_that_is_still_waiting_is_refused_twice(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload, id=1)
            await device.request(payload, id=1)
            assert code_of((await device.answer()).error) is Code.FAILED_PRECONDITION
            gate.open()
            logits_of(await device.answer())


async def test_a_device_that_vanishes_leaves_nothing_in_the_queue(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime) as server:
            async with device_side(server) as device:
                await device.bind(road.binding(SPLIT, CODEC))
                for identity in range(3):
                    await device.request(payload, id=identity)
                await gate.busy()
                while server.waiting < 2:
                    await asyncio.sleep(0.01)
                device.vanish()
                while server.waiting:
                    await asyncio.sleep(0.01)
            gate.open()
    assert gate.batches == [1]


async def test_a_model_that_fails_tells_a_stranger_nothing_and_the_server_goes_on(
    road: Road, caplog: pytest.LogCaptureFixture
) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle, open_runtime=FailingRuntime) as server, device_side(server) as device:
        await device.bind(road.binding(SPLIT, CODEC))
        for identity in (1, 2):
            await device.request(payload, id=identity)
            answer = await device.answer()
            assert code_of(answer.error) is Code.INTERNAL
            assert "secret" not in answer.error.message
    assert "the accelerator is on fire" in caplog.text


@pytest.mark.parametrize("frame", [b"\xff\xff\xff garbage", b"", pb.ClientFrame().SerializeToString()])
async def test_a_frame_that_is_none_ends_its_stream_with_a_clear_error_and_no_other(road: Road, frame: bytes) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server, device_side(server) as good, device_side(server) as bad:
        await good.bind(road.binding(SPLIT, CODEC))
        await bad.write(frame)
        assert await bad.code() is Code.FAILED_PRECONDITION
        assert "check both versions" in await bad.details()
        await good.request(payload)
        logits_of(await good.answer())
