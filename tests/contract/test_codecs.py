"""What every codec of the catalogue owes; a new line in BASES is found here, and asked all of it.

For each codec × each of the crossings below at which it can be used.
"""

import re
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import NO_TABLES, TensorTables
from offramp.codecs.adaptive import is_adaptive
from offramp.codecs.affine import GRAINS, Grain
from offramp.codecs.catalog import BASES, ENTROPY_STAGES, every_codec_name, open_codec
from offramp.codecs.codec import Codec
from offramp.errors import PayloadError
from offramp.plan import via_of
from offramp.records import Array, Feature
from tests.support.features import (
    FEATURE_CUT,
    a_manifest_of_samples,
    a_manifest_sending,
    a_tensor,
    noise_of,
    photograph,
    with_code,
    with_tables,
)

CROSSINGS: dict[str, tuple[Manifest, int]] = {
    "colour": (a_manifest_of_samples("image", "uint8", 16, 16, 3), 0),
    "grey": (a_manifest_of_samples("image", "uint8", 9, 17, 1), 0),
    "one pixel": (a_manifest_of_samples("image", "uint8", 1, 1, 3), 0),
    "audio": (a_manifest_of_samples("audio", "int16", 400), 0),
    "ecg": (a_manifest_of_samples("ecg", "float32", 180, 1), 0),
    "array": (a_manifest_of_samples("array", "int64", 2, 3), 0),
    "feature": (a_manifest_sending(a_tensor(8, 5, 3)), FEATURE_CUT),
    "relu": (a_manifest_sending(a_tensor(300, low=0.0, high=6.0)), FEATURE_CUT),
    "far from zero": (a_manifest_sending(a_tensor(50, low=100.0, high=101.0)), FEATURE_CUT),
    "two tensors": (a_manifest_sending(a_tensor(4, 3), a_tensor(7, low=-9.0, high=-2.0)), FEATURE_CUT),
    "tables": (
        with_tables(a_manifest_sending(a_tensor(4, 5, 3, low=0.0, high=6.0), a_tensor(9, low=0.0))),
        FEATURE_CUT,
    ),
    "tables, channels last": (with_tables(a_manifest_sending(a_tensor(3, 7, high=5.0)), axis=-1), FEATURE_CUT),
    "tables, shared counts": (with_tables(a_manifest_sending(a_tensor(21)), shared=True), FEATURE_CUT),
    "scalar": (a_manifest_sending(a_tensor()), FEATURE_CUT),
    "half floats": (a_manifest_sending(a_tensor(5, dtype="float16"), a_tensor(2)), FEATURE_CUT),
    "double floats": (a_manifest_sending(a_tensor(33, dtype="float64")), FEATURE_CUT),
    "with a mask": (a_manifest_sending(a_tensor(5), a_tensor(3, dtype="int32")), FEATURE_CUT),
    "odd bytes": (a_manifest_sending(a_tensor(3, dtype="int8"), a_tensor(2)), FEATURE_CUT),
    "code": (with_code(a_manifest_sending(a_tensor(8, 5, 3)), 6, 3, 2), FEATURE_CUT),
    "code without tables": (with_code(a_manifest_sending(a_tensor(8, 5, 3)), 3, tables=False), FEATURE_CUT),
    "end": (a_manifest_sending(a_tensor(3)), 4),
}


@dataclass(frozen=True, slots=True)
class Case:
    place: str
    name: str

    @property
    def manifest(self) -> Manifest:
        return CROSSINGS[self.place][0]

    @property
    def cut(self) -> int:
        return CROSSINGS[self.place][1]

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        return () if self.name == "none" else self.manifest.crossing(self.cut, via_of(self.name))

    @property
    def way(self) -> str:
        """The name without the bottleneck and the entropy stage."""
        return self.name.rpartition("/")[2].partition("+")[0]

    @property
    def base(self) -> str:
        return self.way.partition(":")[0]

    @property
    def code(self) -> bool:
        """Whether it writes the code of a bottleneck, and perhaps not all channels of it."""
        return bool(via_of(self.name))

    def channels(self, payload: bytes) -> int:
        """So many of a code were sent."""
        if not is_adaptive(self.name):
            return int(self.way.partition(":")[2])
        probe = self.manifest.tables[via_of(self.name)].probe
        assert probe is not None
        return int(probe.channels_R[payload[0]])

    def open(self) -> Codec:
        return open_codec(self.name, self.manifest, self.cut)

    def features(self) -> list[Feature]:
        if self.name == "none":
            return [()]
        found = [noise_of(self.tensors, seed=seed) for seed in range(3)]
        if self.manifest.sample.kind == "image" and self.cut == 0:
            found.append(photograph(*self.tensors[0].shape))
        return found


ASKED = {
    "tables": "",
    "tables, channels last": r"affine[38]c",
    "tables, shared counts": r".*\+range",
    "code": r"slim/(affine[34]|affine8:1|float)",
    "code without tables": r"slim/affine3",
}
"""By crossing, which names are tried there; elsewhere three bits, which fill no bytes, and the codecs of old."""
CASES = [
    Case(place, name)
    for place, (manifest, cut) in CROSSINGS.items()
    for name in every_codec_name(manifest, cut)
    if re.match(ASKED.get(place, r"affine3|affine8$|affine8\+zstd$|(?!affine)"), name)
]


def each_case(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.place}-{case.name}")


SOUND = [case for case in CASES if case.base not in ("jpeg", "webp", "png")]
"""Codecs that notice any change of length; an image file may lose its last bytes and still be whole."""


def _exactly(values: Array, _spec: TensorSpec, _tables: TensorTables | None) -> Array:
    return np.zeros_like(values)


def _half(values: Array, _spec: TensorSpec, _tables: TensorTables | None) -> Array:
    return np.maximum(np.abs(values) * 2.0**-11, 2.0**-25)


def _single(values: Array, _spec: TensorSpec, _tables: TensorTables | None) -> Array:
    return np.abs(values) * 2.0**-24


def _half_a_step(grain: Grain) -> Callable[[Array, TensorSpec, TensorTables | None], Array]:
    def allowed(values: Array, spec: TensorSpec, tables: TensorTables | None) -> Array:
        low, high = np.float64(spec.low), np.float64(spec.high)
        if grain.per_channel:
            assert tables is not None
            along = [-1 if axis == tables.axis else 1 for axis in range(len(spec.shape))]
            low, high = (ends_C.astype(np.float64).reshape(along) for ends_C in (tables.low_C, tables.high_C))
        outside = np.abs(values - np.clip(values, low, high))
        # float32's own rounding of the ends of the range, and of a half or double cut.
        rounding = 8 * np.finfo(spec.dtype if spec.dtype == "float16" else "float32").eps
        step = (high - low) / (2**grain.bits - 1)
        return outside + step / 2 + rounding * (np.abs(values) + np.maximum(np.abs(low), np.abs(high)))

    return allowed


def _wide(values: Array) -> Array:
    return values.astype(np.float64) if values.dtype.kind == "f" else values


STATED: dict[str, Callable[[Array, TensorSpec, TensorTables | None], Array]] = {
    "raw": _exactly,
    "png": _exactly,
    "webp:lossless": _exactly,
    "none": _exactly,
    "float32": _single,
    "float16": _half,
    "delta": _exactly,
    **{f"{grain.name}{z}": _half_a_step(grain) for grain in GRAINS for z in ("", "z")},
}
"""Largest absolute error of each value, by codec without its entropy stage; `jpeg` and `webp` state none."""


def test_every_base_is_used_at_one_crossing_at_least() -> None:
    assert {case.base for case in CASES} == set(BASES)


def test_every_entropy_stage_is_used_at_one_crossing_at_least() -> None:
    assert {case.name.partition("+")[2] for case in CASES} == {"", *ENTROPY_STAGES}


@each_case(CASES)
def test_a_codec_reads_back_by_its_name(case: Case) -> None:
    assert case.open().name == case.name


@each_case(CASES)
def test_decoding_restores_shape_and_dtype(case: Case) -> None:
    codec = case.open()
    for feature in case.features():
        decoded = codec.decode(codec.encode(feature))
        assert [(tensor.shape, tensor.dtype) for tensor in decoded] == [
            ((1, *spec.shape), np.dtype(spec.dtype)) for spec in case.tensors
        ]
        assert all(tensor.flags.aligned and tensor.flags.c_contiguous for tensor in decoded)


def _stated(case: Case) -> str:
    return case.base if case.code else case.way


@each_case([case for case in CASES if _stated(case) in STATED])
def test_decoding_stays_within_the_stated_error(case: Case) -> None:
    codec, allowed = case.open(), STATED[_stated(case)]
    for feature in case.features():
        payload = codec.encode(feature)
        decoded = codec.decode(payload)
        there = case.manifest.tables.get(via_of(case.name) or case.cut, NO_TABLES).tensors or (None,) * len(decoded)
        for before, after, spec, tables in zip(
            map(_wide, feature), map(_wide, decoded), case.tensors, there, strict=True
        ):
            channels = case.channels(payload) if case.code else None
            # Channels of a code that were not sent read 0.
            assert channels is None or not after[:, channels:].any()
            sent = (slice(None), slice(channels)) if spec.shape else ...
            assert (np.abs(after - before) <= allowed(before, spec, tables))[sent].all()


FLOATS = st.builds(
    lambda shape, dtype, ends: a_tensor(*shape, dtype=dtype, low=min(ends), high=max(ends)),
    st.lists(st.integers(1, 9), max_size=4),
    st.sampled_from(["float16", "float32", "float64"]),
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)).filter(lambda ends: ends[0] != ends[1]),
)


@settings(max_examples=100, deadline=None)
@given(tensors=st.lists(FLOATS, min_size=1, max_size=3), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_floats_of_any_shape_come_back_within_the_stated_error(
    tensors: list[TensorSpec], seed: int, data: st.DataObject
) -> None:
    manifest = a_manifest_sending(*tensors)
    name = data.draw(st.sampled_from(every_codec_name(manifest, FEATURE_CUT)))
    codec, feature = open_codec(name, manifest, FEATURE_CUT), noise_of(tuple(tensors), seed=seed)
    decoded, allowed = codec.decode(codec.encode(feature)), STATED[name.partition("+")[0]]
    for before, after, spec in zip(feature, decoded, tensors, strict=True):
        assert (after.shape, after.dtype) == ((1, *spec.shape), np.dtype(spec.dtype))
        assert (np.abs(_wide(after) - _wide(before)) <= allowed(_wide(before), spec, None)).all()


def test_every_codec_states_its_error_or_is_a_lossy_image() -> None:
    lossy = {"jpeg:90", "jpeg:75", "jpeg:50", "webp:80", "webp:50"}
    assert {_stated(case) for case in CASES} - lossy == set(STATED)


@pytest.mark.parametrize("name", ["jpeg:90", "webp:80"])
@pytest.mark.parametrize("place", ["colour", "grey"])
def test_a_lossy_image_still_looks_like_the_image(name: str, place: str) -> None:
    case = Case(place, name)
    codec, (pixels,) = case.open(), photograph(*case.tensors[0].shape)
    (decoded,) = codec.decode(codec.encode((pixels,)))
    assert np.abs(decoded.astype(int) - pixels).mean() < 4


@each_case(CASES)
def test_no_payload_is_larger_than_the_largest_announced(case: Case) -> None:
    codec = case.open()
    for feature in case.features():
        payload = codec.encode(feature)
        assert type(payload) is bytes
        assert len(payload) <= codec.max_payload


@each_case(CASES)
def test_a_larger_payload_is_refused(case: Case) -> None:
    codec = case.open()
    with pytest.raises(PayloadError, match=str(codec.max_payload)):
        codec.decode(b"\0" * (codec.max_payload + 1))


@each_case(SOUND)
def test_a_truncated_or_extended_payload_is_refused(case: Case) -> None:
    codec = case.open()
    payload = codec.encode(case.features()[0])
    # What lost its first byte may be a payload of other levels, where nothing but levels is sent.
    beheaded = b"" if case.code else payload[1:]
    for wrong in (payload[:-1], payload[: len(payload) // 2], beheaded, b"", payload + b"\0", payload + payload):
        if wrong != payload:
            with pytest.raises(PayloadError):
                codec.decode(wrong)


@each_case([case for case in CASES if case not in SOUND])
def test_half_an_image_is_refused(case: Case) -> None:
    codec = case.open()
    payload = codec.encode(case.features()[0])
    for wrong in (payload[: len(payload) // 2], payload[1:], payload[:8], b""):
        with pytest.raises(PayloadError):
            codec.decode(wrong)


@each_case(CASES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_garbage_is_refused_or_has_the_declared_shape(case: Case, data: st.DataObject) -> None:
    codec = case.open()
    payload = bytearray(codec.encode(case.features()[-1]))
    for _ in range(data.draw(st.integers(1, 4))):
        if payload:
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    for wrong in (bytes(payload), data.draw(st.binary(max_size=200))):
        try:
            decoded = codec.decode(wrong)
        except PayloadError:
            continue
        assert [(tensor.shape, tensor.dtype) for tensor in decoded] == [
            ((1, *spec.shape), np.dtype(spec.dtype)) for spec in case.tensors
        ]


@each_case(CASES)
def test_a_header_that_promises_more_takes_no_more_memory(case: Case) -> None:
    """Whichever of the first bytes says how much will come: none is believed."""
    codec = case.open()
    payload = codec.encode(case.features()[0])
    codec.decode(payload)  # what is imported then is kept
    usual = _peak(codec, payload)
    for at in range(min(len(payload), HEADER)):
        for value in (0x7F, 0xFF):
            assert _peak(codec, payload[:at] + bytes([value]) * 4 + payload[at + 4 :]) < usual + SLACK


HEADER = 16
"""Bytes: longer than what stands before the first level of any codec."""
SLACK = 32 << 10
"""Bytes: for an error and its traceback. Every feature here is smaller than what two bytes can announce."""


def _peak(codec: Codec, payload: bytes) -> int:
    """The most bytes that Python and numpy hold at once to decode it."""
    tracemalloc.start()
    try:
        with suppress(PayloadError):
            codec.decode(payload)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@each_case(CASES)
def test_threads_may_share_a_codec(case: Case) -> None:
    codec, features = case.open(), case.features()
    expected = [codec.encode(feature) for feature in features]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(codec.encode, features * 8))
        decoded = list(threads.map(codec.decode, found))
    assert found == expected * 8
    for one, other in zip(decoded, [codec.decode(payload) for payload in expected] * 8, strict=True):
        assert all(map(np.array_equal, one, other))


@each_case(CASES)
def test_the_payload_does_not_depend_on_how_the_feature_lies_in_memory(case: Case) -> None:
    codec, feature = case.open(), case.features()[0]
    turned = tuple(np.asfortranarray(tensor) for tensor in feature)
    slices = tuple(np.stack([tensor, tensor])[1] for tensor in feature)
    assert codec.encode(turned) == codec.encode(slices) == codec.encode(feature)


@each_case(CASES)
def test_what_was_decoded_stays_when_the_codec_goes_on(case: Case) -> None:
    codec, features = case.open(), case.features()
    first = codec.decode(codec.encode(features[0]))
    copies = [tensor.copy() for tensor in first]
    codec.decode(codec.encode(features[-1]))
    assert all(map(np.array_equal, first, copies))


@each_case([case for case in CASES if case.name != "none"])
def test_another_shape_is_our_own_mistake(case: Case) -> None:
    codec = case.open()
    wrong = tuple(np.concatenate([tensor, tensor]) for tensor in case.features()[0])
    with pytest.raises(AssertionError):
        codec.encode(wrong)
