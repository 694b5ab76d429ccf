import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.records import Array
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor


def affine8(low: float = 0.0, high: float = 255.0, *, values: int = 1) -> Codec:
    return open_codec("affine8", a_manifest_sending(a_tensor(values, low=low, high=high)), FEATURE_CUT)


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


def test_every_level_survives_another_round() -> None:
    codec = affine8(-1.7, 4.2, values=256)
    payload = bytes(range(256))
    assert codec.encode(codec.decode(payload)) == payload
