"""Levels of a feature that is mostly zeros: `affine8z`. A bit for each value that is not 0, then the levels of those.

    0 0 3 0 1 0 0 0   ─►   00101000 | 3 1

After a ReLU that leaves a third of the values or fewer. An entropy coder spends a bit on each zero too, but LZ4, and no
entropy stage at all, spend more.
"""

import threading

import numpy as np

from offramp.codecs.affine import Affine, Grain
from offramp.codecs.bits import BitPacker, is_padded, packed_size, unpack_bits
from offramp.codecs.packer import Crossing
from offramp.errors import PayloadError
from offramp.records import Feature
from offramp.units import Bytes


class Sparse:
    """The values that `Affine` would give, in payloads of different sizes."""

    exact = False

    def __init__(self, crossing: Crossing, grain: Grain) -> None:
        self._dense = Affine(crossing, grain)
        self._mask_size = packed_size(self._dense.count, 1)
        self.max_packed = Bytes(self._mask_size + self._dense.max_packed)
        self._scratch = _Scratch(self._dense.count, grain.bits)

    def pack(self, feature: Feature) -> bytes:
        levels_n = self._dense.quantise(feature)
        there_n = levels_n != 0
        packer = self._scratch.packer
        count = int(np.count_nonzero(there_n))
        packer.levels_n[:count] = levels_n[there_n]
        return np.packbits(there_n, bitorder="little").tobytes() + packer.pack(count).tobytes()

    def unpack(self, packed: bytes) -> Feature:
        count, bits = self._dense.count, self._dense.grain.bits
        mask, levels = packed[: self._mask_size], packed[self._mask_size :]
        if len(mask) < self._mask_size or not is_padded(mask, count, 1):
            raise PayloadError(f"{len(packed)} bytes do not begin with {count} bits, one for each value")
        there_n = np.unpackbits(np.frombuffer(mask, np.uint8), count=count, bitorder="little").view(bool)
        here = int(np.count_nonzero(there_n))
        if len(levels) != packed_size(here, bits) or not is_padded(levels, here, bits):
            raise PayloadError(f"{len(levels)} bytes are not {here} levels of {bits} bits")
        levels_n = np.zeros(count, np.uint8)
        levels_n[there_n] = unpack_bits(levels, here, bits)
        return self._dense.restore(levels_n)

    @staticmethod
    def refusal(crossing: Crossing, grain: Grain) -> str:
        reason = Affine.refusal(crossing, grain)
        if not reason and any(np.any(low) for low, _ in grain.bounds(crossing)):
            return f"it is for features that are never negative, as after a ReLU; take {grain.name}"
        return reason


class _Scratch(threading.local):
    """Buffers of one thread."""

    def __init__(self, count: int, bits: int) -> None:
        self.packer = BitPacker(count, bits)
