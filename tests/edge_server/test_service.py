"""The unary calls: one request that carries everything, and what is served."""

import grpc
import grpc.aio
import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.units import Seconds
from offramp.wire.convert import Binding, binding_to_proto, budget_to_proto
from offramp.wire.v1 import inference_pb2 as pb
from tests.edge_server.edge import Gate, Road, device_side, logits_of, serving, unary
from tests.support.tiny_bundle import some_images

Code = grpc.StatusCode
SPLIT, CODEC = 1, "affine8"


def a_request(binding: Binding, payload: bytes, *, budget: float | None = None) -> bytes:
    return pb.InferRequest(
        binding=binding_to_proto(binding),
        budget_us=budget_to_proto(None if budget is None else Seconds(budget)),
        payload=payload,
    ).SerializeToString()


async def test_one_call_may_carry_everything(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    async with serving(road.bundle) as server:
        raw = await unary(server, "Infer", a_request(road.binding(SPLIT, CODEC), payload))
    expected = road.logits(payload, SPLIT, CODEC)
    np.testing.assert_allclose(logits_of(pb.Answer.FromString(raw)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "raw", "code"),
    [
        ("Infer", b"\xff\xff garbage", Code.FAILED_PRECONDITION),
        ("Infer", b"", Code.FAILED_PRECONDITION),
        ("Describe", b"\xff\xff garbage", Code.FAILED_PRECONDITION),
        ("Divine", b"", Code.UNIMPLEMENTED),
    ],
)
async def test_a_call_that_is_none_gets_a_clear_error(
    road: Road, method: str, raw: bytes, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(road.bundle) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(server, method, raw)
    assert caught.value.code() is code
    assert "Traceback" not in caplog.text


async def test_a_bad_payload_is_refused_with_the_codecs_reason(road: Road) -> None:
    async with serving(road.bundle) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(server, "Infer", a_request(road.binding(SPLIT, CODEC), b"short"))
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert "5" in str(caught.value.details())


async def test_a_unary_call_shares_the_queue_and_its_bounds_with_the_streams(road: Road) -> None:
    payload = road.payload(some_images(1)[0], SPLIT, CODEC)
    with Gate() as gate:
        async with serving(road.bundle, open_runtime=gate.runtime, queue=1) as server, device_side(server) as device:
            await device.bind(road.binding(SPLIT, CODEC))
            await device.request(payload, id=1)
            await gate.busy()
            await device.request(payload, id=2)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary(server, "Infer", a_request(road.binding(SPLIT, CODEC), payload))
            assert caught.value.code() is Code.RESOURCE_EXHAUSTED
            gate.open()
            assert set(await device.answers(2)) == {1, 2}


async def test_the_edge_says_what_it_serves(road: Road, other_bundle: Bundle) -> None:
    async with serving(road.bundle, other_bundle) as server:
        reply = pb.DescribeReply.FromString(await unary(server, "Describe", b""))
    assert [served.model_digest.hex() for served in reply.bundles] == [
        road.manifest.model_digest,
        other_bundle.manifest.model_digest,
    ]
    assert reply.bundles[0].name == "tiny"
    assert list(reply.bundles[0].cuts) == ["input", "stem", "block1", "block2", "output"]
