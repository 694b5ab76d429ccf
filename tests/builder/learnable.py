"""Data that a small network learns in seconds: where a bright square is tells the class."""

import numpy as np

from offramp.data import DataSet, Part
from offramp.records import SampleSpec

SIDE = 12


def bright_squares(count: int = 240, *, seed: int = 0, split: bool = False) -> DataSet:
    """Grey noise with a bright 6x6 square in one of the four quarters."""
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, 4, count)
    samples = rng.integers(0, 120, (count, SIDE, SIDE, 3), dtype=np.uint8)
    for sample, truth in zip(samples, truth_N, strict=True):
        top, left = 6 * (truth // 2), 6 * (truth % 2)
        sample[top : top + 6, left : left + 6, truth % 3] += 100
    parts = [Part.TRAIN, Part.CALIBRATION, Part.TEST] if split else [Part.UNASSIGNED]
    return DataSet(
        name="squares",
        sample=SampleSpec(kind="image", shape=(SIDE, SIDE, 3), dtype="uint8"),
        labels=("upper left", "upper right", "lower left", "lower right"),
        samples=samples,
        truth_N=truth_N,
        group_N=np.arange(count),
        part_N=np.resize(np.array(parts, np.int8), count),
        digest=str(seed) * 64,
    )
