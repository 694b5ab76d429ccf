"""Ports and channels: what is refused, who is trusted, how soon a channel comes back."""

import asyncio
import socket
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest

from offramp.errors import InputError
from offramp.wire.address import Address, parse_address
from offramp.wire.channels import MAX_MESSAGE, channel_options, listen, open_aio_channel, open_channel, server_options
from offramp.wire.tls import ClientTls, ServerTls
from tests.wire.echo import ECHO, echo_server, echoed


async def test_listening_at_port_0_returns_the_port_that_was_got() -> None:
    async with echo_server() as address, open_aio_channel(address) as channel:
        assert address.port > 0
        assert await echoed(channel) == b"hello"


async def test_threads_have_a_channel_too() -> None:
    async with echo_server() as address:

        def ask() -> bytes:
            with open_channel(address) as channel:
                answer: bytes = next(channel.stream_stream(ECHO)(iter([b"hello"])))
                return answer

        assert await asyncio.to_thread(ask) == b"hello"


async def test_a_port_in_use_is_an_input_error_that_says_so() -> None:
    async with echo_server() as address:
        with pytest.raises(InputError, match="address already in use"):
            listen(grpc.aio.server(options=server_options()), address)


async def test_an_address_of_another_machine_is_an_input_error_that_says_so() -> None:
    with pytest.raises(InputError, match="cannot assign"):
        listen(grpc.aio.server(options=server_options()), parse_address("192.0.2.1:0", listen=True))


async def test_a_unix_socket_in_use_is_not_taken_over(tmp_path: Path) -> None:
    async with echo_server(f"unix:{tmp_path}/socket") as address, open_aio_channel(address) as channel:
        with pytest.raises(InputError, match="another program does"):
            listen(grpc.aio.server(options=server_options()), address)
        assert await echoed(channel) == b"hello"


async def test_a_unix_socket_that_a_dead_program_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "socket"))
    async with echo_server(f"unix:{tmp_path}/socket") as address, open_aio_channel(address) as channel:
        assert await echoed(channel) == b"hello"


async def test_a_server_refuses_a_message_past_the_limit_whatever_the_client_allows_itself() -> None:
    unlimited = [("grpc.max_send_message_length", -1)]
    async with echo_server() as address, grpc.aio.insecure_channel(str(address), unlimited) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echoed(channel, b"x" * (MAX_MESSAGE + 1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await echoed(channel) == b"hello"


async def test_a_channel_comes_back_within_3_seconds_of_its_server() -> None:
    async with echo_server() as address, open_aio_channel(address) as channel:
        await echoed(channel)
    async with open_aio_channel(address) as channel:
        away = time.perf_counter() + 2.0  # long enough for the pauses between attempts to have grown
        while time.perf_counter() < away:
            with pytest.raises(grpc.aio.AioRpcError):
                await echoed(channel)
            await asyncio.sleep(0.1)
        async with echo_server(str(address)):
            await asyncio.wait_for(channel.channel_ready(), 3.0)
            assert await echoed(channel) == b"hello"


def test_the_longest_pause_and_the_longest_attempt_fit_into_3_seconds() -> None:
    options = dict(channel_options())
    longest_pause = 1.2 * options["grpc.max_reconnect_backoff_ms"]  # gRPC's jitter is 20 per cent
    assert longest_pause + options["grpc.min_reconnect_backoff_ms"] < 3_000


def server_tls(folder: Path, *, mutual: bool = False) -> ServerTls:
    return ServerTls(cert=folder / "edge.crt", key=folder / "edge.key", client_ca=folder / "ca.crt" if mutual else None)


async def test_tls_carries_what_plain_text_does(certificates: Path) -> None:
    tls = ClientTls(ca=certificates / "ca.crt")
    async with echo_server(tls=server_tls(certificates)) as address, open_aio_channel(address, tls) as channel:
        assert await echoed(channel) == b"hello"


async def test_the_name_in_the_certificate_may_differ_from_the_address(certificates: Path) -> None:
    tls = ClientTls(ca=certificates / "ca.crt", server_name="edge.test")
    async with echo_server(tls=server_tls(certificates)) as address, open_aio_channel(address, tls) as channel:
        assert await echoed(channel) == b"hello"


async def test_a_server_that_nobody_vouches_for_is_not_spoken_to(certificates: Path) -> None:
    tls = ClientTls(ca=certificates / "other/ca.crt")
    async with echo_server(tls=server_tls(certificates)) as address, open_aio_channel(address, tls) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echoed(channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("who", ["known", "nobody", "stranger"])
async def test_with_mutual_tls_only_known_clients_get_in(certificates: Path, who: str) -> None:
    folder = certificates / "other" if who == "stranger" else certificates
    pair = {} if who == "nobody" else {"cert": folder / "board.crt", "key": folder / "board.key"}
    tls = ClientTls(ca=certificates / "ca.crt", **pair)
    async with (
        echo_server(tls=server_tls(certificates, mutual=True)) as address,
        open_aio_channel(address, tls) as channel,
    ):
        if who == "known":
            assert await echoed(channel) == b"hello"
        else:
            with pytest.raises(grpc.aio.AioRpcError):
                await echoed(channel)


async def test_plain_text_to_a_tls_port_is_refused(certificates: Path) -> None:
    async with echo_server(tls=server_tls(certificates)) as address, open_aio_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await echoed(channel)


def test_a_certificate_needs_its_key_and_a_client_needs_somebody_to_trust(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no key"):
        ServerTls(cert=tmp_path / "a.crt")
    with pytest.raises(InputError, match="has no certificate"):
        ClientTls(ca=tmp_path / "ca.crt", key=tmp_path / "a.key")
    with pytest.raises(InputError, match="clients can only be checked"):
        ServerTls(client_ca=tmp_path / "ca.crt")
    with pytest.raises(InputError, match="whom to trust"):
        ClientTls(cert=tmp_path / "a.crt", key=tmp_path / "a.key")


def test_a_tls_file_that_is_none_is_named_before_anybody_connects(certificates: Path, tmp_path: Path) -> None:
    missing, garbage = tmp_path / "missing.crt", tmp_path / "garbage.crt"
    garbage.write_bytes(b"\xff\x00 not a certificate")
    with pytest.raises(InputError, match=r"missing\.crt cannot be read"):
        ClientTls(ca=missing).credentials()
    with pytest.raises(InputError, match=r"garbage\.crt holds no certificate"):
        ClientTls(ca=garbage).credentials()
    with pytest.raises(InputError, match=r"garbage\.crt"):
        ServerTls(cert=garbage, key=certificates / "edge.key").credentials()
    with pytest.raises(InputError, match=r"board\.key"):
        ServerTls(cert=certificates / "edge.crt", key=certificates / "board.key").credentials()


def test_without_files_there_is_no_tls() -> None:
    assert ServerTls().credentials() is None
    assert ClientTls().credentials() is None
    assert Address(host="a", port=1) == parse_address("a:1")
