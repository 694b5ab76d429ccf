"""`scenes:KIND:PATH`: pictures as a camera would see them, each held for some frames before the next one comes.

    pictures, shuffled ─► each for some frames ─► shifted ─► brighter or darker ─► noise ─► frames
                            geometric             ≤ 2 pixels     ± 10 %            σ = 5

A scene shows one picture, 20 frames on average (`scenes:5:KIND:PATH` takes 5; 1 gives frames that have nothing to do
with each other). Shift, brightness and noise are drawn anew for every frame, the noise for every value of it, in levels
of 0 to 255. Temporal policies can so be compared on pictures, at any length of a scene.

# N frames, S scenes, H height, W width, C channels
"""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import DataSet, Part, content_digest, split
from offramp.data.request import Request
from offramp.data.room import room_for
from offramp.errors import DataError

MEAN_FRAMES = 20
"""Of a scene, where nothing else is asked for."""

_SHIFT = 2  # pixels, up and down, left and right
_BRIGHTNESS = (0.9, 1.1)
_NOISE = 5.0
_LARGEST_PART = 256 << 20  # bytes: 87,000 frames of CIFAR-10; what is beyond it would only be more of the same
_AT_ONCE = 4 << 20  # bytes of frames that are rendered together


def as_scenes(data: DataSet, request: Request, mean_frames: int = MEAN_FRAMES) -> DataSet:
    """The same pictures, as one stream of scenes to calibrate on and one to test on.

    To train on there is one frame of each picture, since frames of one scene teach little. A part ends with the limit,
    or with 256 MiB, at times in the midst of a scene. A group is what it was: a picture, or what it belongs to.

    Raises:
        DataError: These are no pictures, or too few for three parts.
    """
    if data.sample.kind != "image":
        raise DataError(f"scenes show pictures, {data.name} holds samples of kind {data.sample.kind!r}; name pictures")
    parts = split(data, seed=request.seed)
    most = max(1, _LARGEST_PART // prod(data.sample.shape))
    chosen: list[tuple[Part, DataSet, NDArray[np.int64]]] = []
    for part, pictures in ((Part.TRAIN, parts.train), (Part.CALIBRATION, parts.calibration), (Part.TEST, parts.test)):
        rng = np.random.default_rng([request.seed, part])
        frames_S = np.ones(len(pictures), np.int64)
        if part is not Part.TRAIN:
            frames_S = rng.geometric(1 / mean_frames, len(pictures))
        limit = request.limit if part is Part.TRAIN else min(most, request.limit or most)
        chosen.append((part, pictures, np.repeat(rng.permutation(len(pictures)), frames_S)[:limit]))
    samples = room_for(sum(len(rows_N) for _, _, rows_N in chosen), data.sample.shape)
    start = 0
    for part, pictures, rows_N in chosen:
        _render(samples[start : start + len(rows_N)], pictures.samples, rows_N, seed=(request.seed, part, mean_frames))
        start += len(rows_N)
    truth_N = np.concatenate([pictures.truth_N[rows_N] for _, pictures, rows_N in chosen])
    return replace(
        data,
        name=f"scenes of {data.name}",
        samples=samples,
        truth_N=truth_N,
        group_N=np.concatenate([pictures.group_N[rows_N] for _, pictures, rows_N in chosen]),
        part_N=np.concatenate([np.full(len(rows_N), part, np.int8) for part, _, rows_N in chosen]),
        stream_N=None,
        digest=content_digest(samples, truth_N, data.labels),
    )


def scenes_of(path: str) -> tuple[int, str]:
    """Mean number of frames and data set that `5:cifar10:PATH` or `cifar10:PATH` names.

    Raises:
        DataError: It names no number of frames that a scene can have.
    """
    first, _, rest = path.partition(":")
    if not first.lstrip("-").isdigit():
        return MEAN_FRAMES, path
    if int(first) < 1:
        raise DataError(f"a scene of {first} frames shows nothing; give 1 or more, as in scenes:{MEAN_FRAMES}:{rest}")
    return int(first), rest


def _render(
    into: NDArray[np.uint8], pictures: NDArray[np.uint8], rows_N: NDArray[np.int64], *, seed: tuple[int, ...]
) -> None:
    """Fill `into` with a frame of the picture in each of these rows."""
    rng = np.random.default_rng(seed)
    height, width, _ = into.shape[1:]
    y_H, x_W = np.arange(height)[:, None], np.arange(width)[None, :]
    step = max(1, _AT_ONCE // into[:1].nbytes) if len(into) else 1
    for start in range(0, len(rows_N), step):
        taken = pictures[rows_N[start : start + step]]
        # What comes into view at an edge is the edge again.
        shift = rng.integers(-_SHIFT, _SHIFT + 1, (2, len(taken), 1, 1))
        shifted_y, shifted_x = np.clip(y_H + shift[0], 0, height - 1), np.clip(x_W + shift[1], 0, width - 1)
        frames = taken[np.arange(len(taken))[:, None, None], shifted_y, shifted_x].astype(np.float32)
        frames *= rng.uniform(*_BRIGHTNESS, (len(taken), 1, 1, 1)).astype(np.float32)
        frames += rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(_NOISE)
        into[start : start + step] = np.clip(np.rint(frames), 0, 255)
