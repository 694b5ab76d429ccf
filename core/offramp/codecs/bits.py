"""Bit packing: levels of 2, 3, 4 or 6 bits, one after the other, the lowest bit first; eight levels make `bits` bytes.

    levels, a byte each   000000aa 000000bb 000000cc 000000dd
    neighbours joined             0000bbaa         0000ddcc        in words of 64 bits, all neighbours at once
    and again                                      ddccbbaa

Where levels fill whole bytes, as two of 4 bits and four of 2 do, what lies above the lowest byte of a lane is cut off:

    levels, a byte each   0000bbbb 0000aaaa      in lanes of 16 bits (2 bits: of 32, in two steps)
    and moved down        00000000 bbbb0000
    together              0000bbbb bbbbaaaa ─► bbbbaaaa

Words are little-endian whatever the machine is, so that a payload is the same everywhere.

# n levels, w words of eight levels
"""

from functools import cache
from typing import Any, NamedTuple

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
        self._whole = self._passes(count)

    def pack(self, count: int | None = None) -> Levels:
        """The first `count` of `levels_n`, or all of them; good until the next call."""
        if self._bits == 8:
            return self.levels_n[:count]
        passes = self._whole
        if count is not None:
            passes = self._passes(count)
            self._levels[count : -(-count // 8) * 8] = 0
        for step, left, right, out in passes.steps:
            step(left, right, out)
        for lanes, packed in passes.copies:
            np.copyto(packed, lanes, "unsafe")
        return passes.packed

    def _passes(self, count: int) -> "_Passes":
        words = -(-count // 8)
        levels_w, low_w, high_w = (buffer[:words] for buffer in (self._levels.view(_WORD), self._low_w, self._high_w))
        packed = self._packed[: words * self._bits]
        if self._bits in _LANES:
            steps, copies = _cut_off(self._bits, levels_w, low_w, high_w, packed)
        else:
            steps, copies = _masked(self._bits, levels_w, low_w, high_w, packed)
        return _Passes(steps, copies, packed[: packed_size(count, self._bits)])


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


_LANES: dict[int, np.dtype[Any]] = {4: np.dtype("<u2"), 2: np.dtype("<u4")}
"""Of as many levels as fill a byte."""

_Words = NDArray[np.uint64]
_Steps = list[tuple[np.ufunc, NDArray[Any], NDArray[Any], NDArray[Any]]]
_Copies = list[tuple[NDArray[Any], Levels]]


class _Passes(NamedTuple):
    """What packs so many levels, with its views of the buffers: to make those anew takes longer than to pack 8,000."""

    steps: _Steps
    """Each with what it takes and where that goes."""
    copies: _Copies
    """Lanes, whose lowest bytes are wanted, and where these go."""
    packed: Levels


def _cut_off(bits: int, levels_w: _Words, low_w: _Words, high_w: _Words, packed: Levels) -> tuple[_Steps, _Copies]:
    """Of 4 or 2 bits: half of the passes that masks take, or fewer."""
    lane = _LANES[bits]
    source, joined, moved = levels_w.view(lane), low_w.view(lane), high_w.view(lane)
    steps: _Steps = []
    for shift in (8 - bits, 16 - 2 * bits)[: lane.itemsize // 2]:
        steps.append((np.right_shift, source, np.asarray(shift, lane), moved))
        steps.append((np.bitwise_or, source, moved, joined))
        source = joined
    return steps, [(joined, packed)]


def _masked(bits: int, levels_w: _Words, low_w: _Words, high_w: _Words, packed: Levels) -> tuple[_Steps, _Copies]:
    """Of any number of bits."""
    steps: _Steps = []
    source_w = levels_w
    for join in _joins(bits):
        steps.append((np.right_shift, source_w, np.asarray(join.shift, _WORD), high_w))
        steps.append((np.bitwise_and, high_w, np.asarray(join.upper, _WORD), high_w))
        steps.append((np.bitwise_and, source_w, np.asarray(join.lower, _WORD), low_w))
        steps.append((np.bitwise_or, low_w, high_w, low_w))
        source_w = low_w
    lane, filled = (length // 8 for length in _joined(bits))
    # A byte of every lane at once: rows of one to three bytes are slow to copy.
    return steps, [(source_w.view(np.uint8)[byte::lane], packed[byte::filled]) for byte in range(filled)]


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
