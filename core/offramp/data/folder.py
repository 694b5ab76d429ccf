"""`folder:PATH`: class folders of pictures, decoded, cropped and resized once.

    PATH/cat/*.jpg  PATH/dog/*.png …                          dealt out at random, or
    PATH/train/cat/…  PATH/calibration/cat/…  PATH/test/cat/… as they lie (`val` and `validation` are calibration)

A file that cannot be read is left out and reported; it never ends the run.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import DataSet, Part
from offramp.data.images import SUFFIXES, read_image
from offramp.data.request import Request
from offramp.data.room import room_for
from offramp.errors import DataError
from offramp.records import SampleSpec

_PARTS = {
    "train": Part.TRAIN,
    "val": Part.CALIBRATION,
    "validation": Part.CALIBRATION,
    "calibration": Part.CALIBRATION,
    "test": Part.TEST,
}
_DEFAULT_SHAPE = (224, 224, 3)


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    label: str
    part: Part


def load_folder(path: str, request: Request, /) -> DataSet:
    """Every picture under the class folders, as uint8 [H, W, C].

    Raises:
        DataError: No such folder, or no class folder with a picture in it.
    """
    root = Path(path)
    entries = _limit(list(_entries(root)), request)
    labels = tuple(sorted({entry.label for entry in entries}))
    shape = request.shape or _DEFAULT_SHAPE
    samples, kept, skipped, digest = _decode(root, entries, shape)
    return DataSet(
        name=root.resolve().name,
        sample=SampleSpec(kind="image", shape=shape, dtype="uint8"),
        labels=labels,
        samples=samples,
        truth_N=np.array([labels.index(entry.label) for entry in kept], np.int64),
        group_N=np.arange(len(kept)),
        part_N=np.array([entry.part for entry in kept], np.int8),
        digest=digest,
        skipped=tuple(skipped),
    )


def _entries(root: Path) -> Iterator[_Entry]:
    if not root.is_dir():
        raise DataError(f"{root} is no folder; give one that holds a folder of pictures per class")
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    names = {folder.name for folder in folders}
    if not folders:
        raise DataError(f"{root} holds no class folders; lay the pictures out as {root.name}/CLASS/picture.jpg")
    if names <= set(_PARTS) and "train" in names:
        for folder in folders:
            for inner in sorted(inner for inner in folder.iterdir() if inner.is_dir()):
                yield from _pictures(inner, _PARTS[folder.name])
    else:
        for folder in folders:
            yield from _pictures(folder, Part.UNASSIGNED)


def _pictures(folder: Path, part: Part) -> Iterator[_Entry]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield _Entry(path, folder.name, part)


def _limit(entries: list[_Entry], request: Request) -> list[_Entry]:
    """Draw before anything is decoded: a limit is there to save time."""
    if request.limit is None:
        return entries
    rng = np.random.default_rng(request.seed)
    kept: list[int] = []
    for part in Part:
        rows = [row for row, entry in enumerate(entries) if entry.part == part]
        kept.extend(rng.permutation(rows)[: request.limit].astype(int).tolist())
    return [entries[row] for row in sorted(kept)]


def _decode(
    root: Path, entries: list[_Entry], shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], list[_Entry], list[tuple[str, str]], str]:
    samples = room_for(len(entries), shape)
    kept: list[_Entry] = []
    skipped: list[tuple[str, str]] = []
    digest = hashlib.sha256(repr(shape).encode())
    for entry in entries:
        try:
            samples[len(kept)] = read_image(entry.path, shape)
        except DataError as error:
            skipped.append((str(entry.path), str(error)))
            continue
        digest.update(entry.path.relative_to(root).as_posix().encode())
        digest.update(np.ascontiguousarray(samples[len(kept)]).data)
        kept.append(entry)
    return samples[: len(kept)], kept, skipped, digest.hexdigest()
