"""The entropy stage range: levels, channel by channel, by how often each occurred in calibration.

    packed levels ─► unpack ─► a channel's levels, its static counts ─► range coder ─► words of 32 bits ─► payload

Counts are integers that ship with the bundle and add up to a power of two, so that the coder's arithmetic, which takes
them as doubles, rounds nowhere: what it computes are integers below 2^53, on every machine. A payload begins with a
check value, since a range decoder makes levels of anything, and of too little.

# n levels, C channels, L levels that there are, K values in a channel
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.tables import LEVELS, TensorTables
from offramp.codecs.affine import GRAINS, Affine
from offramp.codecs.bits import BitPacker, Levels, unpack_bits
from offramp.codecs.packer import Crossing
from offramp.codecs.stage import Packed
from offramp.errors import MissingExtraError, PayloadError
from offramp.units import Bytes

CHECK = 2
"""Bytes of the check value: one wrong payload in 65,536 is not noticed."""
WORD = np.dtype("<u4")
WORST = 24
"""Bits that a level takes which never occurred in calibration: the coder's smallest share is 2^-24."""


class RangeCoder:
    """Levels that are likely take a fraction of a bit; a payload is as long as its levels are unlikely."""

    def __init__(self, packed: Packed) -> None:
        try:
            import constriction
        except ImportError as error:
            raise MissingExtraError("constriction", "codecs", "a codec that ends in +range") from error
        assert isinstance(packed.packer, Affine)  # refused otherwise
        self._queue = constriction.stream.queue
        self.count, self.bits = packed.packer.count, packed.packer.grain.bits
        self._sections: list[_Section] = []
        start = 0
        for spec, tables in zip(packed.crossing.tensors, packed.crossing.tables.tensors, strict=True):
            own = packed.packer.grain.per_channel
            self._sections.append(_Section(start, spec.shape, tables, own=own, bits=self.bits))
            start += spec.elements
        self.max_payload = Bytes(CHECK + 4 * (-(-self.count * WORST // 32) + 2))

    @staticmethod
    def refusal(base: str, crossing: Crossing) -> str:
        if base not in {grain.name for grain in GRAINS}:
            return f"range codes the levels of affine8, affine4c and the like, not what {base} packs"
        if not crossing.tables.tensors:
            return f"the bundle ships no counts of levels for this cut; build it again, with data, or take {base}"
        return ""

    def compress(self, packed: bytes | memoryview) -> bytes:
        words = bytes(self.encoded(unpack_bits(packed, self.count, self.bits)).get_compressed().astype(WORD).data)
        return _check(words) + words

    def decompress(self, payload: bytes) -> bytes:
        words = payload[CHECK:]
        if len(payload) < CHECK or len(words) % 4 or payload[:CHECK] != _check(words):
            raise PayloadError(f"{len(payload)} bytes are not range-coded words with their check value before them")
        packer, decoder = self.levels_of(np.frombuffer(words, WORD).astype(np.uint32))
        if not decoder.maybe_exhausted():
            raise PayloadError(f"{len(payload)} bytes go on behind the last of {self.count} levels")
        return packer.pack().tobytes()

    def encoded(self, levels_n: Levels) -> Any:
        """constriction's encoder, when it has taken all levels."""
        encoder = self._queue.RangeEncoder()
        for section in self._sections:
            for levels_k, model in zip(section.channels(levels_n), section.models, strict=True):
                encoder.encode(levels_k, model)
        return encoder

    def levels_of(self, words: NDArray[np.uint32]) -> tuple[BitPacker, Any]:
        """The levels that words stand for, and constriction's decoder, when it has given all of them.

        Raises:
            PayloadError: They stand for none.
        """
        decoder, packer = self._queue.RangeDecoder(words), BitPacker(self.count, self.bits)
        try:
            for section in self._sections:
                found = [decoder.decode(model, section.length) for model in section.models]
                section.put(found, packer.levels_n)
        except AssertionError as error:  # so constriction says that no levels lead to these words
            raise PayloadError(f"{words.nbytes} bytes stand for no levels: {error}") from error
        return packer, decoder


class _Section:
    """One tensor: where its levels lie, and what is known of each channel's."""

    def __init__(self, start: int, shape: tuple[int, ...], tables: TensorTables, *, own: bool, bits: int) -> None:
        counts_CL = _coarser(tables.own_counts_CL if own else tables.counts_CL, bits)
        self._place = slice(start, start + int(np.prod(shape)))
        # One row of counts for all channels: their levels as they lie. So do those of channels that come first.
        apart = len(counts_CL) > 1 and tables.axis > 0
        self._shape: tuple[int, ...] = shape if apart else (-1,)
        self._axis = tables.axis if apart else None
        self.models = [_model(counts_L) for counts_L in counts_CL]
        self.length = (self._place.stop - start) // len(self.models)
        """Levels of each channel."""

    def channels(self, levels_n: Levels) -> NDArray[np.int32]:
        """[C, K]"""
        levels = levels_n[self._place].astype(np.int32).reshape(self._shape)
        if self._axis is not None:
            levels = np.moveaxis(levels, self._axis, 0)
        return np.ascontiguousarray(levels.reshape(len(self.models), self.length))

    def put(self, found: list[NDArray[np.int32]], levels_n: Levels) -> None:
        """The opposite of `channels`."""
        if self._axis is None:
            np.concatenate(found, out=levels_n[self._place], casting="unsafe")
            return
        levels_CK = np.stack(found)
        moved = np.moveaxis(levels_n[self._place].reshape(self._shape), self._axis, 0)
        moved[...] = levels_CK.reshape(moved.shape)


def _model(counts_L: NDArray[np.int64]) -> Any:
    import constriction

    # Of a total that is a power of two, and not looking for the best fit: products and quotients are exact.
    return constriction.stream.model.Categorical(counts_L.astype(np.float64), perfect=False)


def _coarser(counts_CL: NDArray[np.uint16], bits: int) -> NDArray[np.int64]:
    """[C, 2^bits] Counts of the levels that the 256 levels of the same range become with fewer bits."""
    top = 2**bits - 1
    level_L = (2 * np.arange(LEVELS) * top + LEVELS - 1) // (2 * (LEVELS - 1))
    coarse_CL = np.zeros((len(counts_CL), top + 1), np.int64)
    for level in range(top + 1):
        coarse_CL[:, level] = counts_CL[:, level_L == level].sum(axis=1, dtype=np.int64)
    return coarse_CL


def _check(words: bytes) -> bytes:
    return (zlib.crc32(words) & 0xFFFF).to_bytes(CHECK, "little")
