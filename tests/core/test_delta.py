import numpy as np
import pytest

from offramp.codecs.catalog import open_codec
from offramp.errors import UnknownNameError
from tests.support.features import FEATURE_CUT, a_manifest_of_samples, a_manifest_sending, a_tensor


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_comes_back_to_the_bit(dtype: str) -> None:
    values = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 1e-7, -1e-7, 6e4], dtype)
    codec = open_codec("delta+zstd", a_manifest_of_samples("ecg", dtype, 10), 0)
    assert codec.decode(codec.encode((values[None],)))[0].tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "int64"])
def test_differences_may_wrap_around(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.max, 0, limits.max, limits.min], dtype)
    codec = open_codec("delta", a_manifest_of_samples("audio", dtype, 5), 0)
    assert np.array_equal(codec.decode(codec.encode((values[None],)))[0][0], values)


def test_a_smooth_signal_becomes_smaller_than_it_does_as_it_is() -> None:
    manifest = a_manifest_of_samples("audio", "int16", 4000)
    wave = (3000 * np.sin(np.arange(4000) / 40)).astype(np.int16)[None]
    delta, raw = (len(open_codec(name, manifest, 0).encode((wave,))) for name in ("delta+zstd", "raw+zstd"))
    assert delta < 0.7 * raw


def test_differences_are_for_signals() -> None:
    with pytest.raises(UnknownNameError, match="delta is for signals at cut 0: ecg and audio"):
        open_codec("delta", a_manifest_sending(a_tensor(4)), FEATURE_CUT)
