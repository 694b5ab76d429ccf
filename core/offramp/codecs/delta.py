"""Lossless differences along time, for signals at cut 0: `delta+zstd`.

    values, as integers ─► each minus the one before it ─► low bytes of all, …, high bytes of all

Neighbouring values of a signal resemble each other, so that the high bytes are nearly all 0 and zstd finds them so.
Floats are taken by their bits, in an order in which neighbouring floats are neighbouring integers.

# T time, n values, B bytes in a value
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.specs import TensorSpec
from offramp.codecs.layout import nothing_sent
from offramp.codecs.packer import Crossing, check_feature
from offramp.records import Array, Feature
from offramp.units import Bytes

SIGNALS = ("ecg", "audio")


class Delta:
    """Every value comes back to the bit."""

    exact = True

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        self._crossing = crossing
        self.max_packed = Bytes(sum(spec.nbytes for spec in crossing.tensors))

    def pack(self, feature: Feature) -> bytes:
        check_feature(feature, self._crossing)
        return b"".join(
            _planes(_ordered(tensor[0], spec)) for tensor, spec in zip(feature, self._crossing.tensors, strict=True)
        )

    def unpack(self, packed: bytes) -> Feature:
        tensors, offset = [], 0
        for spec in self._crossing.tensors:
            width = np.dtype(spec.dtype).itemsize
            planes_Bn = np.frombuffer(packed, np.uint8, spec.nbytes, offset).reshape(width, -1)
            offset += spec.nbytes
            differences = np.ascontiguousarray(planes_Bn.T).view(f"<u{width}").reshape(spec.shape)
            ordered = np.cumsum(differences, axis=0, dtype=_unsigned(width))
            tensors.append(_from_ordered(ordered, np.dtype(spec.dtype))[None])
        return tuple(tensors)

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        if crossing.kind not in SIGNALS:
            return nothing_sent(crossing) or f"delta is for signals at cut 0: {' and '.join(SIGNALS)}"
        for spec in crossing.tensors:
            if np.dtype(spec.dtype).kind not in "iuf" or not spec.shape:
                return f"delta carries series of integers and floats, not {spec.dtype} {list(spec.shape)}"
        return ""


def _ordered(values_T: Array, spec: TensorSpec) -> NDArray[Any]:
    """Differences of the values' bits, as unsigned integers that wrap around."""
    dtype = np.dtype(spec.dtype)
    unsigned = _unsigned(dtype.itemsize)
    bits_T = np.ascontiguousarray(values_T.astype(dtype, copy=False)).view(unsigned)
    if dtype.kind == "f":
        bits_T = _flipped(bits_T, bits_T)
    return np.diff(bits_T, axis=0, prepend=np.zeros_like(bits_T[:1]))


def _from_ordered(bits_T: NDArray[Any], dtype: np.dtype) -> Array:
    if dtype.kind == "f":
        bits_T = _flipped(bits_T, ~bits_T)
    return bits_T.view(dtype)


def _flipped(bits_T: NDArray[Any], sign_T: NDArray[Any]) -> NDArray[Any]:
    """Negative floats, whose bits grow as they fall, with all bits turned; the others with their sign turned."""
    top = bits_T.dtype.type(1 << (8 * bits_T.itemsize - 1))
    return np.where(sign_T & top, ~bits_T, bits_T ^ top)


def _planes(differences: NDArray[Any]) -> bytes:
    width = differences.itemsize
    bytes_nB = differences.astype(f"<u{width}").reshape(-1, 1).view(np.uint8)
    return bytes_nB.T.tobytes()


def _unsigned(width: int) -> np.dtype:
    return np.dtype(f"u{width}")
