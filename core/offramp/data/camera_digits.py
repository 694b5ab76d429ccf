"""`camera-digits`: the runs of `offramp.data.camera`, gathered into arrays to train, calibrate and test on."""

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from offramp.data.camera import SIDE, frames_of_run, length_of_run
from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.digits import RANGES, digits
from offramp.data.request import Request
from offramp.errors import DataError
from offramp.records import SampleSpec

# To train on, few frames of many runs: neighbours teach little. To calibrate and to test on, one whole run of every
# digit, as a camera delivers them.
_TRAIN_RUNS = 12
_LIMITS = {Part.TRAIN: 2, Part.CALIBRATION: None, Part.TEST: None}
"""Frames of a run."""
PARTS = (Part.TRAIN, Part.CALIBRATION, Part.TEST)
"""In the order of the data set."""


def load_camera_digits(_path: str, request: Request, /) -> DataSet:
    """About 25,900 frames to train on and 5,700 each to calibrate and to test on; a group is one digit.

    A run's frames show one digit, and to train on a digit is in several runs; frames of one digit depend on each other.

    Raises:
        MissingExtraError: scikit-learn, whose pictures these are, is not installed.
    """
    samples: list[NDArray[np.uint8]] = []
    rows: list[int] = []
    parts: list[Part] = []
    for part in PARTS:
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
    for row, number in _runs(part, seed):
        for image in frames_of_run(part, row, seed, number, limit=_LIMITS[part]):
            yield row, image


def frames_at(wanted: Collection[int], seed: int = 0) -> dict[int, NDArray[np.uint8]]:
    """Frames by their position in the data set; only runs that show one of them are drawn.

    Raises:
        DataError: The data set has no frame at one of these positions.
    """
    left, found, start = set(wanted), dict[int, NDArray[np.uint8]](), 0
    for part in PARTS:
        for row, number in _runs(part, seed):
            if not left:
                return found
            stop = start + length_of_run(part, row, seed, number, limit=_LIMITS[part])
            if here := left & set(range(start, stop)):
                frames = list(frames_of_run(part, row, seed, number, limit=_LIMITS[part]))
                found |= {position: frames[position - start] for position in here}
                left -= here
            start = stop
    if left:
        raise DataError(f"camera-digits has {start:,} frames and none at {max(left)}; give positions below that")
    return found


def _runs(part: Part, seed: int) -> Iterator[tuple[int, int]]:
    """(digit, number of the run), in the order of the data set."""
    rows = RANGES[part]
    for turn in range(_TRAIN_RUNS if part is Part.TRAIN else 1):
        for place, row in enumerate(np.random.default_rng([seed, part, turn]).permutation(rows).tolist()):
            yield row, turn * len(rows) + place
