import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from offramp.runtime.half import from_half, to_half

every_float32 = arrays(np.uint32, st.integers(0, 50), elements=st.integers(0, 2**32 - 1)).map(
    lambda bits: bits.view(np.float32)
)


@given(every_float32)
def test_rounding_is_numpys_bit_for_bit(values: NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16)
    found, numbers = to_half(values), ~np.isnan(values)
    assert found.view(np.uint16)[numbers].tolist() == expected.view(np.uint16)[numbers].tolist()
    assert np.isnan(found[~numbers]).all()


def test_every_float16_comes_back_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        expected = halves.astype(np.float32)
    assert np.array_equal(from_half(halves), expected, equal_nan=True)


def test_any_shape_becomes_flat() -> None:
    assert to_half(np.ones((2, 3, 4), np.float32)[:, ::2]).shape == (16,)
