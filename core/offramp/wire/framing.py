"""How many bytes a message really costs on a warm stream.

    socket ◄─ HTTP/2 DATA frames (9 bytes each) ◄─ gRPC prefix (5 bytes) ◄─ serialised message

Counted behind a proxy with grpcio 1.85 (a test repeats it): a message of up to 100 KB travels in one DATA frame once
the peer's window has grown, in frames of 16 KB before; 9 bytes in 16 KB do not matter, so the smaller frame is assumed.
"""

from math import ceil

from offramp.units import Bytes

GRPC_PREFIX = 5
"""Compression flag and length, before every message."""
FRAME_HEADER = 9
FRAME_SIZE = 16_384
"""What HTTP/2 allows until the peer announces more."""
ACKNOWLEDGEMENT = 26
"""Two WINDOW_UPDATE frames of 13 bytes, for the stream and the connection, with which grpcio acknowledges an answer
that its program has read. They go up, like the requests, and are 40 per cent of all overhead: hence counted."""


REQUEST_FIELDS = 16
"""Of a request beside its payload, serialised: tags, lengths, reference, id and budget (12 to 18 of them)."""


def request_wire_bytes(payload_length: int) -> Bytes:
    """Bytes that a bound request with a payload of this length writes to the socket, as `wire_bytes` counts them."""
    return wire_bytes(payload_length + REQUEST_FIELDS)


def wire_bytes(serialized_length: int) -> Bytes:
    """Bytes that a request of this serialised length and the acknowledgement of its answer write to the socket.

    TLS (22 bytes a record), TCP and IP are not in it, nor are a ping and its padding.
    """
    framed = GRPC_PREFIX + serialized_length
    return Bytes(framed + FRAME_HEADER * ceil(framed / FRAME_SIZE) + ACKNOWLEDGEMENT)
