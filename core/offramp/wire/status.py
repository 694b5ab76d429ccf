"""Where an error meets a gRPC status: the only place, one table, both directions.

error ─► to_proto ─► Error(code, message) on the stream, or the status of a unary call ─► from_proto ─► error
"""

from typing import Any

import grpc

from offramp.errors import (
    DeadlineError,
    InputError,
    LinkError,
    MissingExtraError,
    OfframpError,
    OverloadedError,
    PayloadError,
    UnknownBundleError,
    WireError,
)
from offramp.wire.v1 import inference_pb2 as pb

# The more special error first: the first row whose error matches gives the status; the first row with a status gives
# the error. What matches no row is our own failure: INTERNAL, with a message that tells a stranger nothing.
TABLE: tuple[tuple[type[OfframpError], grpc.StatusCode], ...] = (
    (InputError, grpc.StatusCode.INVALID_ARGUMENT),  # PlanError and UnknownNameError are InputErrors
    (PayloadError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownBundleError, grpc.StatusCode.NOT_FOUND),
    (DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (OverloadedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (WireError, grpc.StatusCode.FAILED_PRECONDITION),
    (LinkError, grpc.StatusCode.UNAVAILABLE),
    # Of a codec, say, that needs a package: no other edge of this kind would have it, and the message says which it is.
    (MissingExtraError, grpc.StatusCode.UNIMPLEMENTED),
)

NEUTRAL = "the edge failed on this request; its own log says why"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
# A peer that has no such method speaks another protocol: trying again cannot help.
_ERRORS = {code: error for error, code in reversed(TABLE)} | {grpc.StatusCode.UNIMPLEMENTED: WireError}


def to_status(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """The status and the message that a peer may see."""
    for kind, code in TABLE:
        if isinstance(error, kind):
            return code, str(error)
    return grpc.StatusCode.INTERNAL, NEUTRAL


def from_status(code: grpc.StatusCode, message: str) -> OfframpError:
    """The error that a peer's status means here; one that is in no row is a lost link."""
    kind = _ERRORS.get(code, LinkError)
    return kind(message or f"the other end answered {code.name}")


def to_proto(error: BaseException) -> pb.Error:
    code, message = to_status(error)
    return pb.Error(code=code.value[0], message=message)


def from_proto(error: pb.Error) -> OfframpError:
    """The error that a frame carries; a code that gRPC does not know is a lost link too."""
    return from_status(_CODES.get(error.code, grpc.StatusCode.UNKNOWN), error.message)


def from_rpc(error: grpc.RpcError) -> OfframpError:
    """The error that a failed call means, for sync calls and grpc.aio alike."""
    call: Any = error  # grpcio's concrete errors are calls too: they have code() and details()
    return from_status(call.code() or grpc.StatusCode.UNKNOWN, call.details() or "")
