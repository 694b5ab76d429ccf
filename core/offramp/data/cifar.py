"""What CIFAR-10 and CIFAR-100 share: batches of 32x32 pictures, published in a binary and in a python version.

# N pictures of 32 rows, 32 columns and 3 channels
"""

import pickletools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import DataSet, Part, content_digest
from offramp.errors import DataError
from offramp.records import SampleSpec

_VALUES = 32 * 32 * 3
_KEYS = (b"labels", b"fine_labels", b"coarse_labels", b"data", b"filenames", b"batch_label")


@dataclass(frozen=True, slots=True)
class Batch:
    """The pictures of one file and their truth."""

    pictures: NDArray[np.uint8]
    """[N, 32, 32, 3]"""
    truth_N: NDArray[np.int64]


def read_binary(path: Path, *, labels: int = 1) -> Batch:
    """Records of so many label bytes, of which the last is the truth, and the red, green and blue plane of a picture.

    Raises:
        DataError: There is no such file, or it does not divide into records.
    """
    content = np.frombuffer(_content(path), np.uint8)
    if not content.size or content.size % (labels + _VALUES):
        raise DataError(f"{path} has {content.size} bytes, not a multiple of {labels + _VALUES}; fetch it again")
    records = content.reshape(-1, labels + _VALUES)
    return Batch(_upright(records[:, labels:]), records[:, labels - 1].astype(np.int64))


def read_python(path: Path, *, key: str = "labels") -> Batch:
    """A pickle of {key: [int …], 'data': uint8 [N, 3072], …}, from its opcodes: nothing in it is executed.

    Raises:
        DataError: There is no such file, it is no pickle, or labels and pictures do not fit each other.
    """
    data, truth, current = b"", [], b""
    try:
        for opcode, argument, _ in pickletools.genops(_content(path)):
            if isinstance(argument, str | bytes) and opcode.name != "GLOBAL":
                raw = argument.encode("latin-1") if isinstance(argument, str) else argument
                if len(raw) > 1 and len(raw) % _VALUES == 0:
                    data = raw
                elif raw in _KEYS:
                    current = raw
            elif current == key.encode() and isinstance(argument, int) and "INT" in opcode.name:
                truth.append(argument)
    except (ValueError, UnicodeEncodeError) as error:
        raise DataError(f"{path} is not a batch of CIFAR: {error}; fetch it again") from error
    if not data or len(truth) * _VALUES != len(data):
        raise DataError(f"{path} holds {len(truth)} labels and {len(data)} bytes of pictures; fetch it again")
    return Batch(_upright(np.frombuffer(data, np.uint8).reshape(-1, _VALUES)), np.array(truth, np.int64))


def joined(name: str, labels: tuple[str, ...], train: list[Batch], test: Batch) -> DataSet:
    """Batches to train on and the one to test on, as a data set."""
    samples = np.concatenate([batch.pictures for batch in (*train, test)])
    truth_N = np.concatenate([batch.truth_N for batch in (*train, test)])
    part_N = np.full(len(samples), Part.TRAIN, np.int8)
    part_N[len(samples) - len(test.truth_N) :] = Part.TEST
    return DataSet(
        name=name,
        sample=SampleSpec(kind="image", shape=(32, 32, 3), dtype="uint8"),
        labels=labels,
        samples=samples,
        truth_N=truth_N,
        group_N=np.arange(len(samples)),
        part_N=part_N,
        digest=content_digest(samples, truth_N, labels),
        mirrors=True,
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; give a folder that holds it") from error


def _upright(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """From red, green and blue planes in a row to [N, 32, 32, 3]."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
