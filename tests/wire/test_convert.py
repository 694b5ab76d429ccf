"""What goes into a message comes out of it, and what a peer declares is bounded first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.errors import PayloadError, PlanError, WireError
from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.records import Answer, EdgeTimings, Revision
from offramp.units import Seconds
from offramp.wire import convert
from offramp.wire.convert import Binding
from offramp.wire.v1 import inference_pb2 as pb

U32 = st.integers(0, 2**32 - 1)
RULES = st.dictionaries(st.integers(0, 99), st.floats(0, 1), max_size=8).map(
    lambda found: ExitRule(policy="confidence", thresholds=tuple(sorted(found.items()))) if found else NO_EXIT
)
SHAPES = st.lists(st.integers(0, 20), max_size=convert.MAX_RANK).map(tuple)
BINDINGS = st.builds(
    Binding,
    model_digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
    split=U32,
    codec=st.text("abcdefgh8:+0", min_size=1, max_size=convert.MAX_NAME),
    tensors=st.lists(
        st.tuples(SHAPES.filter(lambda shape: np.prod(shape, dtype=object) <= convert.MAX_ELEMENTS), st.just("uint8")),
        max_size=4,
    ).map(tuple),
    top_k=U32,
    tail=RULES,
    queue=U32,
    revision=st.builds(Revision, U32, U32),
)
MICROSECONDS = st.integers(0, 2**32 - 1).map(lambda count: Seconds(count * 1e-6))
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20)
TIMINGS = st.builds(
    EdgeTimings, queue=MICROSECONDS, decode=MICROSECONDS, compute=MICROSECONDS, batch=st.integers(1, 256)
)


@given(BINDINGS)
def test_a_binding_survives_the_wire(binding: Binding) -> None:
    raw = convert.binding_to_proto(binding).SerializeToString()
    assert convert.binding_from_proto(pb.Binding.FromString(raw)) == binding


@given(
    FLOATS,
    TIMINGS,
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.none() | st.integers(1, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
)
def test_an_answer_survives_the_wire(
    values: list[float], timings: EdgeTimings, identity: int, top: bool, cut: int | None, decided: int | None
) -> None:
    logits: NDArray[np.float32] = np.array(values, np.float32)
    classes = np.arange(len(values), dtype=np.int64)[::-1].copy() if top else None
    answer = Answer(logits=logits, classes=classes, timings=timings, exit=cut, decided=decided)
    message = pb.Answer.FromString(convert.answer_to_proto(identity, answer).SerializeToString())
    back = convert.answer_from_proto(message)
    assert message.id == identity
    assert back.logits.dtype == np.float32
    np.testing.assert_array_equal(back.logits, logits)
    np.testing.assert_equal(back.classes, classes)
    assert back.timings == timings
    assert (back.label, back.exit) == (answer.label, cut)


def test_logits_are_little_endian_float32_on_every_host() -> None:
    answer = Answer(logits=np.array([1.0, -2.0], ">f4"))
    assert convert.answer_to_proto(0, answer).logits == bytes.fromhex("0000803f000000c0")


def test_a_plan_is_bound_with_what_its_bundle_declares(tiny_bundle: Bundle) -> None:
    manifest = tiny_bundle.manifest
    plan = Plan(split=2, codec="affine8+zstd", revision=Revision(3, 7))
    binding = convert.bind(plan, manifest, top_k=2)
    assert binding.model_digest == manifest.model_digest
    assert binding.tensors == ((manifest.cuts[2].tensors[0].shape, "float32"),)
    assert (binding.split, binding.codec, binding.top_k, binding.revision) == (2, "affine8+zstd", 2, Revision(3, 7))
    assert (binding.tail, binding.queue) == (NO_EXIT, 0)


def test_exits_past_the_split_are_bound_with_their_plan(tiny_bundle: Bundle) -> None:
    rule = ExitRule(policy="margin", thresholds=((2, 0.5),))
    binding = convert.bind(Plan(split=1, codec="affine8", tail=rule, queue=8), tiny_bundle.manifest)
    assert (binding.tail, binding.queue) == (rule, 8)


def test_a_binding_without_exits_past_the_split_is_what_it_was_before_there_were_any(tiny_bundle: Bundle) -> None:
    """An older edge reads it as it stands: nothing is written for them."""
    raw = convert.binding_to_proto(convert.bind(Plan(split=1, codec="raw"), tiny_bundle.manifest)).SerializeToString()
    assert not {"tail", "queue"} & {field.name for field, _ in pb.Binding.FromString(raw).ListFields()}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (pb.Binding(codec="raw"), "digest"),
        (pb.Binding(model_digest=b"x" * 31, codec="raw"), "digest"),
        (pb.Binding(model_digest=b"x" * 32), "codec name"),
        (pb.Binding(model_digest=b"x" * 32, codec="x" * 65), "codec name"),
        (pb.Binding(model_digest=b"x" * 32, codec="raw", tensors=[pb.Tensor()] * 65), "65 tensors"),
        (pb.Binding(model_digest=b"x" * 32, codec="raw", tensors=[pb.Tensor(shape=[1] * 9)]), "9 dimensions"),
        (pb.Binding(model_digest=b"x" * 32, codec="raw", tensors=[pb.Tensor(shape=[2**31, 2**31])]), "elements"),
        (pb.Binding(model_digest=b"x" * 32, codec="raw", tensors=[pb.Tensor(dtype="x" * 65)]), "dtype"),
        (pb.Binding(model_digest=b"x" * 32, codec="raw", tail="x" * 2049), "2049"),
    ],
)
def test_a_binding_past_what_bundles_have_is_refused(message: pb.Binding, says: str) -> None:
    with pytest.raises(WireError, match=says):
        convert.binding_from_proto(message)


@pytest.mark.parametrize(
    "message", [pb.Answer(), pb.Answer(logits=b"abc"), pb.Answer(logits=b"abcd" * 3, classes=[1, 2])]
)
def test_an_answer_that_is_none_is_refused(message: pb.Answer) -> None:
    with pytest.raises(WireError):
        convert.answer_from_proto(message)


@given(MICROSECONDS)
def test_a_budget_survives_the_wire_and_one_used_up_is_not_one_unstated(budget: Seconds) -> None:
    back = convert.budget_from_proto(convert.budget_to_proto(budget))
    assert back is not None
    assert back == pytest.approx(max(budget, 1e-6), abs=1e-9)


@pytest.mark.parametrize(
    ("budget", "micros"), [(None, 0), (-1.0, 1), (0.0, 1), (1e-9, 1), (1.0, 10**6), (1e9, 2**32 - 1)]
)
def test_a_budget_is_written_in_whole_microseconds(budget: float | None, micros: int) -> None:
    assert convert.budget_to_proto(None if budget is None else Seconds(budget)) == micros


def test_no_budget_stays_none() -> None:
    assert convert.budget_from_proto(convert.budget_to_proto(None)) is None


@pytest.mark.parametrize("tail", ["confidence", "confidence:0.9", "confidence:nan@3", "confidence:0.9@2/0.9@1"])
def test_exits_past_the_split_that_are_none_are_refused(tail: str) -> None:
    with pytest.raises(PlanError):
        convert.binding_from_proto(pb.Binding(model_digest=b"x" * 32, codec="raw", tail=tail))


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_which_classes_are_alive_survives_the_wire(alive: list[bool]) -> None:
    raw = convert.alive_to_proto(np.array(alive))
    back = convert.alive_from_proto(raw, len(alive))
    assert len(raw) == (0 if all(alive) else -(-len(alive) // 8))
    assert (np.ones(len(alive), bool) if back is None else back).tolist() == alive


def test_that_all_classes_are_excluded_is_not_sent() -> None:
    """Two policies may leave nothing together; the edge then answers as if there were none."""
    assert convert.alive_to_proto(np.zeros(10, bool)) == b""


def test_class_0_is_the_lowest_bit_of_the_first_byte() -> None:
    """Held for devices and edges of two versions."""
    assert convert.alive_to_proto(np.arange(10) < 3) == bytes([0b111, 0])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\1", "a bitmap of 10 classes has 2 bytes, this one has 1"),
        (b"\1\0\0", "2 bytes, this one has 3"),
        (b"\0\0", "excludes all 10 classes"),
        (b"\1\4", "past the last of 10 classes"),
    ],
)
def test_a_bitmap_that_is_none_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(PayloadError, match=says):
        convert.alive_from_proto(raw, 10)
