"""`camera-digits`: the runs of `offramp.data.camera`, gathered into arrays to train, calibrate and test on."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from offramp.data.camera import SIDE, frames_of_run
from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.digits import RANGES, digits
from offramp.data.request import Request
from offramp.records import SampleSpec

# To train on, few frames of many runs: neighbours teach little. To calibrate and to test on, one whole run of every
# digit, as a camera delivers them.
_TRAIN_RUNS, _TRAIN_FRAMES = 12, 2


def load_camera_digits(_path: str, request: Request, /) -> DataSet:
    """About 25,900 frames to train on and 5,700 each to calibrate and to test on; a group is one digit.

    A run's frames show one digit, and to train on a digit is in several runs; frames of one digit depend on each other.

    Raises:
        MissingExtraError: scikit-learn, whose pictures these are, is not installed.
    """
    samples: list[NDArray[np.uint8]] = []
    rows: list[int] = []
    parts: list[Part] = []
    for part in (Part.TRAIN, Part.CALIBRATION, Part.TEST):
        before = len(samples)
        for row, image in published_frames(part, request.seed):
            if request.limit is not None and len(samples) - before >= request.limit:
                break
            samples.append(image)
            rows.append(row)
            parts.append(part)
    stacked = np.stack(samples)
    row_N = np.array(rows)
    truth_N = digits().truth_D[row_N]
    labels = tuple(map(str, range(10)))
    return DataSet(
        name="camera-digits",
        sample=SampleSpec(kind="image", shape=(SIDE, SIDE, 3), dtype="uint8"),
        labels=labels,
        samples=stacked,
        truth_N=truth_N,
        group_N=row_N,
        part_N=np.array(parts, np.int8),
        digest=content_digest(stacked, truth_N, labels),
    )


def published_frames(part: Part, seed: int = 0) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(digit, frame) of one part of the data set, run after run, drawn as they are asked for."""
    rows = RANGES[part]
    for turn in range(_TRAIN_RUNS if part is Part.TRAIN else 1):
        for place, row in enumerate(np.random.default_rng([seed, part, turn]).permutation(rows).tolist()):
            limit = _TRAIN_FRAMES if part is Part.TRAIN else None
            for image in frames_of_run(part, row, seed, turn * len(rows) + place, limit=limit):
                yield row, image
