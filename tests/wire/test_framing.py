"""Predicted bytes against bytes that a proxy counted."""

import asyncio
import os

import pytest

from offramp.wire.channels import open_aio_channel
from offramp.wire.framing import wire_bytes
from tests.wire.echo import ECHO, Call, CountingProxy, echo_server

ROUNDS = 20


@pytest.mark.parametrize("length", [100, 1_000, 20_000, 200_000])
async def test_predicted_bytes_are_those_that_leave_the_socket(length: int) -> None:
    async with (
        echo_server() as address,
        CountingProxy(address) as proxy,
        open_aio_channel(proxy.address) as channel,
    ):
        call: Call = channel.stream_stream(ECHO)()
        await exchange(call, length, 5)
        await asyncio.sleep(0.2)  # for what acknowledges the last of these
        before = proxy.uplink
        await exchange(call, length, ROUNDS)
        await asyncio.sleep(0.2)
        counted = (proxy.uplink - before) / ROUNDS
        call.cancel()
    # 8 bytes: now and then a ping that measures the path, spread over the rounds.
    assert counted == pytest.approx(wire_bytes(length), rel=0.02, abs=8)


async def exchange(call: Call, length: int, times: int) -> None:
    for _ in range(times):
        await call.write(os.urandom(length))
        await call.read()


def test_every_16_kilobytes_cost_one_more_frame() -> None:
    assert wire_bytes(16_384 - 5) == 16_384 + 9 + 26
    assert wire_bytes(16_384 - 4) == 16_385 + 18 + 26
