"""Small data sets for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from offramp.data import DataSet, Part
from offramp.records import SampleSpec


def a_data_set(
    count: int = 30, *, groups: list[int] | None = None, parts: list[Part] | None = None, classes: int = 3
) -> DataSet:
    """Pictures of 4x4, each filled with its own number."""
    samples = np.zeros((count, 4, 4, 3), np.uint8)
    samples[:] = np.arange(count)[:, None, None, None]
    return DataSet(
        name="numbers",
        sample=SampleSpec(kind="image", shape=(4, 4, 3), dtype="uint8"),
        labels=tuple(f"class {index}" for index in range(classes)),
        samples=samples,
        truth_N=np.arange(count) % classes,
        group_N=np.arange(count) if groups is None else np.array(groups),
        part_N=np.full(count, Part.UNASSIGNED, np.int8) if parts is None else np.array(parts, np.int8),
        digest="0" * 64,
    )


def numbers_in(data: DataSet) -> set[int]:
    """Which of the pictures of `a_data_set` it holds."""
    return set(data.samples[:, 0, 0, 0].tolist())


def write_pictures(root: Path, layout: dict[str, int], size: tuple[int, int] = (20, 12)) -> None:
    """`layout` maps folders to how many pictures each gets."""
    rng = np.random.default_rng(0)
    for folder, count in layout.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
