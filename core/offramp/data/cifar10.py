"""`cifar10:FOLDER`: CIFAR-10 in any of three encodings, none of which is unpickled.

data_batch_1.bin … test_batch.bin        the published binary version
data_batch_1 … test_batch                the published python version, read by its opcodes
train_batch_1.webp … with labels.npy     a lossless re-encoding: 3200x3200 pixels, a grid of 100x100 pictures
"""

import pickletools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.request import Request
from offramp.errors import DataError
from offramp.records import SampleSpec

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]  # pictures [N, 32, 32, 3] and truth [N]
_VALUES = 32 * 32 * 3


def load_cifar10(path: str, _request: Request, /) -> DataSet:
    """50,000 + 10,000 pictures of shape (32, 32, 3); fewer where batches are missing.

    Raises:
        DataError: No batch is there, or one is damaged.
    """
    folder = Path(path)
    read, train, test = _find(folder)
    batches = [read(file) for file in (*train, test)]
    samples = np.concatenate([pictures for pictures, _ in batches])
    truth_N = np.concatenate([truth for _, truth in batches])
    part_N = np.full(len(samples), Part.TRAIN, np.int8)
    part_N[len(samples) - len(batches[-1][1]) :] = Part.TEST
    return DataSet(
        name="cifar10",
        sample=SampleSpec(kind="image", shape=(32, 32, 3), dtype="uint8"),
        labels=LABELS,
        samples=samples,
        truth_N=truth_N,
        group_N=np.arange(len(samples)),
        part_N=part_N,
        digest=content_digest(samples, truth_N, LABELS),
        mirrors=True,
    )


def _find(folder: Path) -> tuple[Callable[[Path], _Batch], list[Path], Path]:
    """How to read it, the batches to train on, and the test batch."""
    encodings = (("data_batch_{}.bin", "test_batch.bin", _read_binary), ("data_batch_{}", "test_batch", _read_python))
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


def _read_binary(path: Path) -> _Batch:
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if not content.size or content.size % (1 + _VALUES):
        raise DataError(f"{path} has {content.size} bytes, not a multiple of {1 + _VALUES}; fetch it again")
    records = content.reshape(-1, 1 + _VALUES)
    return _upright(records[:, 1:]), records[:, 0].astype(np.int64)


def _read_python(path: Path) -> _Batch:
    """A pickle of {'labels': [int …], 'data': uint8 [N, 3072], …}, from its opcodes: nothing in it is executed."""
    data, truth, key = b"", [], ""
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if isinstance(argument, str | bytes) and opcode.name != "GLOBAL":
                raw = argument.encode("latin-1") if isinstance(argument, str) else argument
                if len(raw) > 1 and len(raw) % _VALUES == 0:
                    data = raw
                elif raw in (b"labels", b"data", b"filenames", b"batch_label"):
                    key = raw.decode()
            elif key == "labels" and isinstance(argument, int) and "INT" in opcode.name:
                truth.append(argument)
    except (ValueError, UnicodeEncodeError) as error:
        raise DataError(f"{path} is not a batch of CIFAR-10: {error}; fetch it again") from error
    if not data or len(truth) * _VALUES != len(data):
        raise DataError(f"{path} holds {len(truth)} labels and {len(data)} bytes of pictures; fetch it again")
    return _upright(np.frombuffer(data, np.uint8).reshape(-1, _VALUES)), np.array(truth, np.int64)


def _read_webp(path: Path) -> _Batch:
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
    return np.ascontiguousarray(pictures), truth.astype(np.int64)


def _upright(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """From red, green and blue planes in a row to [N, 32, 32, 3]."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
