"""`mnist:FOLDER`: the four idx files of MNIST (or of a set in its format), gzipped or not."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.request import Request
from offramp.errors import DataError
from offramp.records import SampleSpec

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MAX_BYTES = 1 << 30  # 1 GiB: MNIST holds 47 MB; a file that unpacks to more is not one of its kind


def load_mnist(path: str, _request: Request, /) -> DataSet:
    """60,000 + 10,000 pictures of shape (28, 28, 1).

    Raises:
        DataError: A file is missing, truncated or not idx.
    """
    train, train_truth, test, test_truth = (_read_idx(Path(path), name) for name in _FILES)
    samples = np.concatenate([train, test])[..., None]
    truth_N = np.concatenate([train_truth, test_truth]).astype(np.int64)
    labels = tuple(map(str, range(int(truth_N.max(initial=9)) + 1)))
    return DataSet(
        name="mnist",
        sample=SampleSpec(kind="image", shape=tuple(map(int, samples.shape[1:])), dtype="uint8"),
        labels=labels,
        samples=samples,
        truth_N=truth_N,
        group_N=np.arange(len(samples)),
        part_N=np.repeat(np.array([Part.TRAIN, Part.TEST], np.int8), [len(train), len(test)]),
        digest=content_digest(samples, truth_N, labels),
    )


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """An idx file: two zero bytes, the type (8 is uint8), the number of dimensions, each of them, the values."""
    path = next((found for found in (folder / f"{name}.gz", folder / name) if found.is_file()), None)
    if path is None:
        raise DataError(f"{folder} holds no {name}.gz; give the folder with the four idx files of MNIST")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); fetch it again") from error
    dimensions = content[3] if len(content) > 3 else 0
    if content[:3] != b"\0\0\x08" or dimensions != (3 if "idx3" in name else 1):
        raise DataError(f"{path} is not an idx file of uint8: it begins with {content[:4]!r}")
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dimensions))
    values = np.frombuffer(content, np.uint8, offset=min(start, len(content)))
    if values.size != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"{path} declares {shape} but holds {values.size} values; fetch it again")
    return values.reshape(shape)
