"""The range coder behind a bottleneck's code: the same coder as for features, but its payloads end on the byte.

Range coding narrows an interval of fractions, level by level. A payload is the shortest string of bytes which, whatever
follows it, is a fraction inside: half a byte longer than the levels' information on average, where whole words and a
check value take four bytes more.

    0 ├────────────[ levels of channel 0 … 7 ]──────────┤ 1
                     [ of channel 0 … 15 ]              inside, so its payload begins with one of the levels before

Nothing that follows can change what was said, so a payload can be read from its beginning; and a payload that was cut
short says less than all its levels, which is always noticed. Other bytes stand for other levels: what notices those is
whatever carries the payload.
"""

from typing import NamedTuple

import numpy as np

from offramp.codecs.bits import BitPacker, Levels, unpack_bits
from offramp.codecs.packer import CODE
from offramp.codecs.range_coder import WORD, WORST, RangeCoder
from offramp.codecs.stage import Packed
from offramp.errors import PayloadError
from offramp.units import Bytes

_STATE = 64
"""Bits of the coder's state: the width of the interval in its last places."""


class PrefixRange(RangeCoder):
    """An entropy stage."""

    def __init__(self, packed: Packed) -> None:
        super().__init__(packed)
        self.max_payload = Bytes((self.count * WORST + _STATE) // 8 + 1)

    def compress(self, packed: bytes | memoryview) -> bytes:
        return self.code(unpack_bits(packed, self.count, self.bits))

    def decompress(self, payload: bytes) -> bytes:
        return self._whole(payload).pack().tobytes()

    def code(self, levels_n: Levels) -> bytes:
        """The payload of levels that nobody has packed."""
        return self._interval(levels_n).shortest()

    def levels(self, payload: bytes) -> Levels:
        """The levels of a payload, which nobody needs packed.

        Raises:
            PayloadError: It is truncated, or goes on.
        """
        return self._whole(payload).levels_n

    def _whole(self, payload: bytes) -> BitPacker:
        packer, size = self._begun(payload)
        if size < len(payload):
            raise PayloadError(f"{len(payload)} bytes go on behind the last of {self.count} levels")
        return packer

    def beginning_of(self, payload: bytes) -> bytes:
        """The part of a payload that says all of this stage's levels, where others may follow.

        Raises:
            PayloadError: There is none.
        """
        return payload[: self._begun(payload[: self.max_payload])[1]]

    def _begun(self, payload: bytes) -> tuple[BitPacker, int]:
        """The levels that a payload begins with, and how many of its bytes say them."""
        # Zeros are as good as anything: a decoder looks a state further than what it needs.
        filled = payload + bytes(_STATE // 8 + -len(payload) % WORD.itemsize)
        packer, _ = self.levels_of(np.frombuffer(filled, WORD.newbyteorder(">")).astype(np.uint32))
        interval = self._interval(packer.levels_n)
        size = interval.said_by(payload)
        if size is None:
            raise PayloadError(f"{len(payload)} bytes were cut short: they do not say all of {self.count} levels")
        return packer, size

    def _interval(self, levels_n: Levels) -> "_Interval":
        encoder = self.encoded(levels_n)
        at, (low, width) = encoder.pos()
        size = at * WORD.itemsize + _STATE // 8
        words = encoder.get_compressed().astype(WORD.newbyteorder(">")).tobytes()
        inside = int.from_bytes(words.ljust(size, b"\0"), "big")
        # Of the state, only the last places are known: carries may still go through all words before.
        first = inside - (inside - low) % (1 << _STATE)
        return _Interval(first, first + width, size)


class _Interval(NamedTuple):
    """Fractions from `first` up to, but without, `last`; both in units of 256 to the power of -`size`."""

    first: int
    last: int
    size: int

    def shortest(self) -> bytes:
        """The fewest bytes which every continuation keeps inside."""
        for spared in range(((self.last - self.first).bit_length() - 1) // 8, -1, -1):
            unit = 8 * spared
            value = -(-self.first >> unit)  # rounded up
            if (value + 1) << unit <= self.last:
                return value.to_bytes(self.size - spared, "big")
        raise AssertionError("an interval holds itself")

    def said_by(self, payload: bytes) -> int | None:
        """How many bytes of a payload it takes to stay inside; None: it does not, or might leave."""
        whole = int.from_bytes(payload[: self.size].ljust(self.size, b"\0"), "big")
        for spared in range(((self.last - self.first).bit_length() - 1) // 8, -1, -1):
            value = whole >> 8 * spared
            if self.first <= value << 8 * spared and (value + 1) << 8 * spared <= self.last:
                size = self.size - spared
                return size if size <= len(payload) else None
        return None


def range_stage(packed: Packed) -> RangeCoder:
    """The range coder for what crosses here."""
    return PrefixRange(packed) if packed.crossing.kind == CODE else RangeCoder(packed)
