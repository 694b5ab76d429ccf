"""Simple augmentation of raw samples, before preprocessing.

# N samples, H height, W width, C channels, L length
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from offramp.data.dataset import DataSet
from offramp.records import Array
from offramp_builder.training.settings import TrainSettings

S = TypeVar("S", bound=TrainSettings)


def allowed(settings: S, data: DataSet) -> S:
    """Whether pictures may be mirrored, where nobody says, and samples moved at all, is for the data to say."""
    flip = data.mirrors if settings.flip is None else settings.flip
    return replace(settings, flip=flip, shift=settings.shift if data.moves else 0.0)


def augment(samples: Array, settings: TrainSettings, rng: np.random.Generator) -> Array:
    """Samples moved (and mirrored) at random: pictures [N, H, W, C] both ways, signals [N, L] in time, with noise.

    What is moved in is the edge repeated for pictures, the other end for signals. Other arrays stay as they are.
    """
    if samples.ndim == 4 and samples.dtype == np.uint8:
        return _move_images(samples, settings, rng)
    if samples.ndim == 2 and samples.dtype in (np.int16, np.float32):
        reach = int(settings.shift * samples.shape[1])
        steps = rng.integers(-reach, reach + 1, len(samples))
        moved = np.stack([np.roll(sample, step) for sample, step in zip(samples, steps, strict=True)])
        return _noisy(moved, settings.noise, rng) if settings.noise and moved.dtype == np.float32 else moved
    return samples


def shrink(samples: Array, side: int) -> Array:
    """Pictures [N, H, W, C] shrunk to `side` pixels on the shorter side; smaller ones and other arrays as they are."""
    if samples.ndim != 4 or samples.dtype != np.uint8 or min(samples.shape[1:3]) <= side:
        return samples
    height, width = (round(size * side / min(samples.shape[1:3])) for size in samples.shape[1:3])
    images_NCHW = torch.from_numpy(samples).permute(0, 3, 1, 2)
    small = functional.interpolate(images_NCHW, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())


def _noisy(signals_NL: Array, most: float, rng: np.random.Generator) -> NDArray[np.float32]:
    amount_N1 = rng.uniform(0, most, (len(signals_NL), 1)).astype(np.float32)
    noisy_NL: NDArray[np.float32] = signals_NL + amount_N1 * rng.standard_normal(signals_NL.shape, np.float32)
    return noisy_NL


def _move_images(images_NHWC: Array, settings: TrainSettings, rng: np.random.Generator) -> NDArray[Any]:
    count, height, width = (int(size) for size in images_NHWC.shape[:3])
    up, left = int(settings.shift * height), int(settings.shift * width)
    padded = np.pad(images_NHWC, ((0, 0), (up, up), (left, left), (0, 0)), mode="edge")
    tops, lefts = rng.integers(0, 2 * up + 1, (count,)), rng.integers(0, 2 * left + 1, (count,))
    mirrored = rng.random((count,)) < (0.5 if settings.flip else 0.0)
    moved = np.empty_like(images_NHWC)
    for row in range(count):
        window = padded[row, tops[row] : tops[row] + height, lefts[row] : lefts[row] + width]
        moved[row] = window[:, ::-1] if mirrored[row] else window
    return moved
