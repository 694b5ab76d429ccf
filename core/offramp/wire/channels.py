"""Channels and ports, with the limits and the patience that both ends share.

open_channel / open_aio_channel ── keepalive, reconnection ──► listen(server, address)
"""

import os
import socket
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from offramp.errors import InputError
from offramp.units import Bytes, Seconds
from offramp.wire.address import Address
from offramp.wire.tls import ClientTls, ServerTls

MAX_MESSAGE = Bytes(16 << 20)
"""The largest feature seen is 3.1 MiB in float32 (ResNet-18 at 224); gRPC refuses what is longer before reading it."""

# An idle connection that died (the board moved, a NAT forgot it) is noticed within 20 s, for 17 bytes each 10 s. Not
# faster: at 0.1 Mbit/s an acknowledgement may wait for seconds behind payloads.
KEEPALIVE_TIME, KEEPALIVE_TIMEOUT = Seconds(10.0), Seconds(10.0)
# Offloading shall resume within 3 s of an edge's return: an attempt into the void (1.5 s, which leaves room for one
# lost SYN, sent again after 1 s) and the longest pause after it (1 s, 20 % more by gRPC's jitter) stay below.
FIRST_BACKOFF, LAST_BACKOFF, CONNECT_TIMEOUT = Seconds(0.1), Seconds(1.0), Seconds(1.5)
MAX_STREAMS = 256
"""Concurrent calls on one connection; a device needs one stream and now and then a unary call."""

Options = Sequence[tuple[str, Any]]


def channel_options(tls: ClientTls | None = None) -> Options:
    """Of a client."""
    named = [("grpc.ssl_target_name_override", tls.server_name)] if tls and tls.server_name else []
    return [
        *_common(),
        ("grpc.initial_reconnect_backoff_ms", _ms(FIRST_BACKOFF)),
        ("grpc.max_reconnect_backoff_ms", _ms(LAST_BACKOFF)),
        # This one is not a back-off: gRPC uses it as the time that one attempt to connect may take (20 s by default).
        ("grpc.min_reconnect_backoff_ms", _ms(CONNECT_TIMEOUT)),
        # Otherwise channels of one process share a connection and its back-off: a fresh channel would not be fresh.
        ("grpc.use_local_subchannel_pool", 1),
        # An `http_proxy` in the environment is meant for other things; neither is there a service configuration in DNS.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        # A request that was lost is answered on the device; sending it again by stealth would only come late.
        ("grpc.enable_retries", 0),
        *named,
    ]


def server_options() -> Options:
    return [
        *_common(),
        # A second server on the same port is an error, not a silent partner that takes every other connection.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        # Half of what our clients do; more pings than that are answered with GOAWAY.
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(KEEPALIVE_TIME) // 2),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(KEEPALIVE_TIME) // 2),
    ]


def open_channel(address: Address, tls: ClientTls | None = None) -> grpc.Channel:
    """A channel for threads; it connects with its first call, and reconnects by itself.

    Raises:
        InputError: A TLS file is not what it should be.
    """
    credentials = tls.credentials() if tls else None
    if credentials is None:
        return grpc.insecure_channel(str(address), options=channel_options())
    return grpc.secure_channel(str(address), credentials, options=channel_options(tls))


def open_aio_channel(address: Address, tls: ClientTls | None = None) -> grpc.aio.Channel:
    """The same for an event loop."""
    credentials = tls.credentials() if tls else None
    if credentials is None:
        return grpc.aio.insecure_channel(str(address), options=channel_options())
    return grpc.aio.secure_channel(str(address), credentials, options=channel_options(tls))


def listen(server: grpc.Server | grpc.aio.Server, address: Address, tls: ServerTls | None = None) -> Address:
    """Bind a server that has not started (made with `server_options`); returns the address with the port it got.

    Raises:
        InputError: The address is in use, not ours or not allowed, or a TLS file is not what it should be.
    """
    credentials = tls.credentials() if tls else None
    _refuse_a_socket_in_use(address)
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise InputError(f"cannot listen at {address}: {_why_not(address)}") from error
    return address if address.path else Address(host=address.host, port=port)


def _common() -> Options:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_send_message_length", MAX_MESSAGE),
        ("grpc.keepalive_time_ms", _ms(KEEPALIVE_TIME)),
        ("grpc.keepalive_timeout_ms", _ms(KEEPALIVE_TIMEOUT)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),  # 0: without limit, so that an idle stream is watched for ever
    ]


def _refuse_a_socket_in_use(address: Address) -> None:
    # gRPC removes a Unix socket that is in its way, even one that another program listens at.
    if not address.path or not os.path.exists(address.path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address.path)
        except OSError:
            return
    raise InputError(f"cannot listen at {address}: another program does; stop it or choose another path")


def _why_not(address: Address) -> str:
    # gRPC says only that it failed; binding once more tells the reason.
    try:
        if address.path:
            family, place = socket.AF_UNIX, address.path
        else:
            family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]  # type: ignore[assignment]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(place)
    except OSError as error:
        return f"{(error.strerror or str(error)).lower()}; choose another address or port"
    return "it was refused; choose another address or port"


def _ms(duration: Seconds) -> int:
    return round(duration * 1000)
