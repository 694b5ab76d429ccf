"""`cifar10:FOLDER`: CIFAR-10 in any of three encodings, none of which is unpickled.

data_batch_1.bin … test_batch.bin        the published binary version
data_batch_1 … test_batch                the published python version, read by its opcodes
train_batch_1.webp … with labels.npy     a lossless re-encoding: 3200x3200 pixels, a grid of 100x100 pictures
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from offramp.data.cifar import Batch, joined, read_binary, read_python
from offramp.data.dataset import DataSet
from offramp.data.request import Request
from offramp.errors import DataError

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load_cifar10(path: str, _request: Request, /) -> DataSet:
    """50,000 + 10,000 pictures of shape (32, 32, 3); fewer where batches are missing.

    Raises:
        DataError: No batch is there, or one is damaged.
    """
    read, train, test = _find(Path(path))
    return joined("cifar10", LABELS, [read(file) for file in train], read(test))


def _find(folder: Path) -> tuple[Callable[[Path], Batch], list[Path], Path]:
    """How to read it, the batches to train on, and the test batch."""
    encodings = (("data_batch_{}.bin", "test_batch.bin", read_binary), ("data_batch_{}", "test_batch", read_python))
    for place in (folder, folder / "cifar-10-batches-bin", folder / "cifar-10-batches-py"):
        for pattern, test, read in (*encodings, ("train_batch_{}.webp", "test_batch.webp", _read_webp)):
            batches = [place / pattern.format(number) for number in range(1, 6)]
            found = [batch for batch in batches if batch.is_file()]
            if found and (place / test).is_file():
                return read, found, place / test
    raise DataError(
        f"{folder} holds no batches of CIFAR-10; give a folder with data_batch_1.bin … test_batch.bin, with the python "
        f"version's data_batch_1 … test_batch, or with train_batch_1.webp … test_batch.webp and labels.npy"
    )


def _read_webp(path: Path) -> Batch:
    labels_path = path.parent / "labels.npy"
    try:
        with Image.open(path) as image:
            grid = np.asarray(image.convert("RGB"))
        labels = np.load(labels_path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} or {labels_path.name} cannot be read: {error}") from error
    rows, columns = grid.shape[0] // 32, grid.shape[1] // 32
    pictures = grid.reshape(rows, 32, columns, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    number = 6 if path.name.startswith("test") else int(path.stem.rsplit("_", 1)[1])
    truth = labels[(number - 1) * len(pictures) : number * len(pictures)]
    if len(truth) != len(pictures):
        raise DataError(f"{labels_path} has {len(labels)} labels, too few for {path.name}; fetch it again")
    return Batch(np.ascontiguousarray(pictures), truth.astype(np.int64))
