"""Cut 0 to the network's input."""

from typing import Any

import numpy as np
import pytest
import torch

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp_builder.preprocess import preprocessor


def spec(kind: str, shape: tuple[int, ...], dtype: str) -> SampleSpec:
    return SampleSpec(kind=kind, shape=shape, dtype=dtype)


def test_an_image_is_turned_to_channels_first_and_normalised_per_channel() -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    image_NHWC = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    expected = ((image_NHWC / 255 - mean) / std).transpose(0, 3, 1, 2)
    found = preprocessor(spec("image", (5, 4, 3), "uint8"), mean=mean, std=std)(torch.from_numpy(image_NHWC))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_image_without_mean_and_std_lies_between_0_and_1() -> None:
    image = torch.tensor([[[[0], [255]]]], dtype=torch.uint8)
    assert preprocessor(spec("image", (1, 2, 1), "uint8"))(image).tolist() == [[[[0.0, 1.0]]]]


def test_sound_lies_between_minus_1_and_1() -> None:
    sound = torch.tensor([[-32768, 0, 16384]], dtype=torch.int16)
    assert preprocessor(spec("audio", (3,), "int16"))(sound).tolist() == [[-1.0, 0.0, 0.5]]


def test_an_ecg_window_becomes_one_lead() -> None:
    assert preprocessor(spec("ecg", (7,), "float32"))(torch.zeros(2, 7)).shape == (2, 1, 7)


def test_an_array_stays_as_it_is() -> None:
    array = torch.arange(6).reshape(2, 3)
    assert torch.equal(preprocessor(spec("array", (3,), "int64"))(array), array)


@pytest.mark.parametrize(
    ("sample", "options", "message"),
    [
        (spec("imgae", (4, 4, 3), "uint8"), {}, "did you mean 'image'"),
        (spec("image", (4, 4), "uint8"), {}, "uint8 with 3 dimension"),
        (spec("image", (4, 4, 3), "float32"), {}, "call its kind array"),
        (spec("image", (4, 4, 3), "uint8"), {"mean": (0.5,)}, "3 channel"),
        (spec("image", (4, 4, 1), "uint8"), {"std": (0.0,)}, "must be positive"),
        (spec("audio", (4,), "int16"), {"mean": (0.5,)}, "belong to images"),
    ],
)
def test_a_sample_that_fits_no_kind_is_refused_with_the_way_out(
    sample: SampleSpec, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        preprocessor(sample, **options)
