"""Errors meet gRPC statuses in one table, both directions."""

import grpc
import pytest

from offramp import errors
from offramp.wire import status
from offramp.wire.v1 import inference_pb2 as pb

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PlanError("x"), Code.INVALID_ARGUMENT),
        (errors.UnknownNameError("x"), Code.INVALID_ARGUMENT),
        (errors.InputError("x"), Code.INVALID_ARGUMENT),
        (errors.PayloadError("x"), Code.INVALID_ARGUMENT),
        (errors.UnknownBundleError("x"), Code.NOT_FOUND),
        (errors.OverloadedError("x"), Code.RESOURCE_EXHAUSTED),
        (errors.DeadlineError("x"), Code.DEADLINE_EXCEEDED),
        (errors.WireError("x"), Code.FAILED_PRECONDITION),
        (errors.LinkError("x"), Code.UNAVAILABLE),
    ],
)
def test_an_error_has_its_status_and_keeps_its_message(error: errors.OfframpError, code: grpc.StatusCode) -> None:
    assert status.to_status(error) == (code, "x")


def test_a_package_that_the_edge_lacks_is_named() -> None:
    code, message = status.to_status(errors.MissingExtraError("constriction", "codecs", "a codec that ends in +range"))
    assert code is Code.UNIMPLEMENTED
    assert message == 'a codec that ends in +range needs constriction; install it with: pip install "offramp[codecs]"'


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), errors.BundleError("/secret/path"), KeyError("x")])
def test_our_own_failures_tell_a_stranger_nothing(error: Exception) -> None:
    assert status.to_status(error) == (Code.INTERNAL, status.NEUTRAL)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.INVALID_ARGUMENT, errors.InputError),
        (Code.NOT_FOUND, errors.UnknownBundleError),
        (Code.RESOURCE_EXHAUSTED, errors.OverloadedError),
        (Code.DEADLINE_EXCEEDED, errors.DeadlineError),
        (Code.FAILED_PRECONDITION, errors.WireError),
        (Code.UNIMPLEMENTED, errors.WireError),
        (Code.UNAVAILABLE, errors.LinkError),
        (Code.INTERNAL, errors.LinkError),
        (Code.UNKNOWN, errors.LinkError),
        (Code.CANCELLED, errors.LinkError),
    ],
)
def test_a_status_has_its_error(code: grpc.StatusCode, kind: type[errors.OfframpError]) -> None:
    error = status.from_status(code, "why")
    assert type(error) is kind
    assert str(error) == "why"


def test_a_status_without_a_message_still_says_something() -> None:
    assert "UNAVAILABLE" in str(status.from_status(Code.UNAVAILABLE, ""))


def test_an_error_in_a_frame_comes_back_as_the_same_kind() -> None:
    for kind in (errors.UnknownBundleError, errors.OverloadedError, errors.DeadlineError, errors.WireError):
        error = status.from_proto(pb.Error.FromString(status.to_proto(kind("why")).SerializeToString()))
        assert (type(error), str(error)) == (kind, "why")


def test_a_code_that_grpc_does_not_know_is_a_lost_link() -> None:
    assert type(status.from_proto(pb.Error(code=77, message="?"))) is errors.LinkError


def test_an_error_before_its_parent_in_the_table_is_not_shadowed() -> None:
    rows = [kind for kind, _ in status.TABLE]
    for index, kind in enumerate(rows):
        assert not any(issubclass(kind, earlier) for earlier in rows[:index]), f"{kind.__name__} is never reached"
