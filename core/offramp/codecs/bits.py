"""Bit packing: levels of 2, 3, 4 or 6 bits, one after the other, the lowest bit first; eight levels make `bits` bytes.

    levels, a byte each   000000aa 000000bb 000000cc 000000dd
    neighbours joined             0000bbaa         0000ddcc        in words of 64 bits, all neighbours at once
    and again                                      ddccbbaa

Words are little-endian whatever the machine is, so that a payload is the same everywhere.

# n levels, w words of eight levels
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint8]
_WORD = np.dtype("<u8")


class BitPacker:
    """Packs up to `count` levels into buffers that are there already: one thread's."""

    def __init__(self, count: int, bits: int) -> None:
        self._bits = bits
        words = -(-count // 8)
        self._levels = np.zeros(8 * words, np.uint8)
        self.levels_n = self._levels[:count]
        """To be filled before `pack`."""
        self._low_w, self._high_w = np.empty(words, _WORD), np.empty(words, _WORD)
        self._packed = np.empty(words * bits, np.uint8)

    def pack(self, count: int | None = None) -> Levels:
        """The first `count` of `levels_n`, or all of them; good until the next call."""
        if count is None:
            count = len(self.levels_n)
        if self._bits == 8:
            return self._levels[:count]
        words = -(-count // 8)
        self._levels[count : 8 * words] = 0
        source_w = self._levels[: 8 * words].view(_WORD)
        low_w, high_w = self._low_w[:words], self._high_w[:words]
        for join in _joins(self._bits):
            np.right_shift(source_w, join.shift, out=high_w)
            np.bitwise_and(high_w, join.upper, out=high_w)
            np.bitwise_and(source_w, join.lower, out=low_w)
            np.bitwise_or(low_w, high_w, out=low_w)
            source_w = low_w
        lane, filled = _joined(self._bits)
        packed = self._packed[: words * self._bits]
        for byte in range(filled // 8):  # of every lane at once: rows of one to three bytes are slow to copy
            packed[byte :: filled // 8] = low_w.view(np.uint8)[byte :: lane // 8]
        return packed[: packed_size(count, self._bits)]


def packed_size(count: int, bits: int) -> int:
    """Bytes of so many levels."""
    return -(-count * bits // 8)


def unpack_bits(packed: bytes | memoryview, count: int, bits: int) -> Levels:
    """[n] The levels again, of `packed_size(count, bits)` bytes; what fills up the last of them is not looked at."""
    if bits == 8:
        return np.frombuffer(packed, np.uint8, count)
    words, (lane, filled) = -(-count // 8), _joined(bits)
    padded = np.zeros(words * bits, np.uint8)
    padded[: len(packed)] = np.frombuffer(packed, np.uint8)
    words_w = np.zeros(words, _WORD)
    for byte in range(filled // 8):
        words_w.view(np.uint8)[byte :: lane // 8] = padded[byte :: filled // 8]
    for join in reversed(_joins(bits)):
        words_w = (words_w & join.lower) | ((words_w & join.upper) << join.shift)
    return words_w.view(np.uint8)[:count]


def is_padded(packed: bytes | memoryview, count: int, bits: int) -> bool:
    """Whether what fills up the last byte is 0, as every packer leaves it."""
    used = count * bits % 8
    return not used or packed[-1] >> used == 0


class _Join(NamedTuple):
    """One step: of every two lanes, the upper one moves down onto the lower one's filled bits."""

    shift: np.uint64
    lower: np.uint64
    """The filled bits of the lower lanes."""
    upper: np.uint64
    """Where those of the upper lanes go."""


@cache
def _joins(bits: int) -> tuple[_Join, ...]:
    """Until whole bytes are filled."""
    joins, lane, filled = [], 8, bits
    while filled % 8:
        lower = sum((2**filled - 1) << at for at in range(0, 64, 2 * lane))
        joins.append(_Join(np.uint64(lane - filled), np.uint64(lower), np.uint64(lower << filled)))
        lane, filled = 2 * lane, 2 * filled
    return tuple(joins)


def _joined(bits: int) -> tuple[int, int]:
    """(lane, filled bits of it) after all joins."""
    times = 2 ** len(_joins(bits))
    return 8 * times, bits * times
