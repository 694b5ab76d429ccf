import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.codecs.affine import BLOCK
from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.errors import PayloadError, UnknownNameError
from offramp.records import Array
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, with_tables


def affine8(low: float = 0.0, high: float = 255.0, *, values: int = 1) -> Codec:
    return affine(8, low, high, values=values)


def affine(bits: int, low: float = 0.0, high: float = 255.0, *, values: int = 1) -> Codec:
    return open_codec(f"affine{bits}", a_manifest_sending(a_tensor(values, low=low, high=high)), FEATURE_CUT)


def through(codec: Codec, *values: float) -> Array:
    (decoded,) = codec.decode(codec.encode((np.array([values], np.float32),)))
    return decoded[0]


def test_one_byte_a_value_and_nothing_else() -> None:
    assert len(affine8(values=1000).encode((np.zeros((1, 1000), np.float32),))) == 1000


def test_a_value_goes_to_the_nearest_level() -> None:
    assert affine8(values=6).encode((np.array([[0.0, 0.49, 0.5, 1.0, 254.4, 254.6]], np.float32),)) == bytes(
        [0, 0, 1, 1, 254, 255]
    )


def test_what_lies_outside_goes_to_the_ends_of_the_range() -> None:
    low, high = -2.0, 5.0
    found = through(affine8(low, high, values=4), -100.0, 100.0, -np.inf, np.inf)
    assert found == pytest.approx([low, high, low, high], rel=1e-6)


def test_nan_goes_to_low() -> None:
    assert through(affine8(-2.0, 5.0), np.nan)[0] == np.float32(-2.0)


def test_the_largest_floats_do_not_overflow() -> None:
    largest = np.finfo(np.float32).max
    assert through(affine8(0.0, 1e-6, values=2), largest, -largest) == pytest.approx([1e-6, 0.0])


def test_zero_stays_zero_after_a_relu() -> None:
    assert through(affine8(0.0, 6.0), 0.0)[0] == 0.0


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    position=st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_the_error_inside_the_range_is_at_most_half_a_step(low: float, width: float, position: list[float]) -> None:
    high = low + width
    if max(abs(low), abs(high)) > 256 * (high - low):
        return  # refused: float32 is too coarse there
    values = np.array([low + share * (high - low) for share in position], np.float32)
    found = through(affine8(low, high, values=5), *values)
    rounding = 8 * np.finfo(np.float32).eps * max(abs(low), abs(high))
    assert np.abs(found.astype(np.float64) - values).max() <= (high - low) / 255 / 2 + rounding


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_every_level_survives_another_round(bits: int) -> None:
    codec = affine(bits, -1.7, 4.2, values=256)
    payload = np.random.default_rng(0).bytes(256 * bits // 8)
    assert codec.encode(codec.decode(payload)) == payload


def test_fewer_bits_lie_one_behind_the_other_the_lowest_first() -> None:
    values = np.array([[0.0, 1.0, 2.0, 3.0, 1.0]], np.float32)
    assert affine(2, 0.0, 3.0, values=5).encode((values,)) == bytes([0b11_10_01_00, 0b01])


def test_what_fills_up_the_last_byte_is_nothing() -> None:
    with pytest.raises(PayloadError, match="filled up with something"):
        affine(2, values=5).decode(bytes([0, 0b100]))


def test_long_features_go_through_in_blocks_and_come_out_as_one() -> None:
    values = np.random.default_rng(0).uniform(0, 255, 2 * BLOCK + 9).astype(np.float32)
    assert np.abs(through(affine8(values=len(values)), *values) - values).max() <= 0.5 + 1e-4


def test_each_channel_has_its_own_range() -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(2, 3, low=0.0, high=8.0)))
    assert [float(end) for end in manifest.tables[FEATURE_CUT].tensors[0].high_C] == [1.0, 8.0]
    payload = open_codec("affine8c", manifest, FEATURE_CUT).encode((np.full((1, 2, 3), 0.5, np.float32),))
    assert payload == bytes([128, 128, 128, 16, 16, 16])


def test_without_ranges_of_channels_the_way_out_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"ships no ranges of channels .* leave the c out \(affine4\)"):
        open_codec("affine4c+zstd", a_manifest_sending(a_tensor(4)), FEATURE_CUT)


def test_zeros_take_a_bit_each_and_nothing_more() -> None:
    codec = open_codec("affine8z", a_manifest_sending(a_tensor(80, low=0.0, high=255.0)), FEATURE_CUT)
    values = np.zeros((1, 80), np.float32)
    values[0, [3, 8]] = 7, 200
    payload = codec.encode((values,))
    assert payload == bytes([0b1000, 0b1, *[0] * 8, 7, 200])
    assert np.array_equal(codec.decode(payload)[0], values)


@pytest.mark.parametrize("payload", [bytes(9), bytes([1, *[0] * 9]), bytes([1, *[0] * 9, 7, 7])])
def test_levels_that_the_mask_does_not_announce_are_refused(payload: bytes) -> None:
    codec = open_codec("affine8z", a_manifest_sending(a_tensor(80, low=0.0, high=255.0)), FEATURE_CUT)
    with pytest.raises(PayloadError):
        codec.decode(payload)


def test_zeros_are_left_out_only_where_nothing_is_negative() -> None:
    with pytest.raises(UnknownNameError, match="never negative, as after a ReLU; take affine8"):
        open_codec("affine8z", a_manifest_sending(a_tensor(4, low=-1.0)), FEATURE_CUT)
