"""The entropy stages zstd (RFC 8878), level 1, and zstd-dict: the same, with a dictionary from calibration payloads.

Level 1 comes within 10 % of the order-0 entropy of quantised features; levels 3 to 9 buy at most 5 % more. A frame of a
few hundred bytes spends tenths of them on tables that say how often each byte occurs; a dictionary has them already.

Features repeat nothing but single values and runs of them, so to look for longer matches costs time and, as what is
found splits what the entropy coder would write better, bytes. `RARELY` hardly looks: on features of a trained
ResNet-20, a fifth to a tenth of the time less, and 0.3 % more bytes (first layer) to 4 % fewer (last).
"""

import threading
from typing import TYPE_CHECKING

from offramp.codecs.packer import CODE, Crossing
from offramp.codecs.stage import Packed
from offramp.errors import MissingExtraError, PayloadError
from offramp.units import Bytes

if TYPE_CHECKING:
    import zstandard

LEVEL = 1
RARELY = {"min_match": 7, "hash_log": 6}
"""What replaces level 1's own numbers where there is little to find: the longest shortest match, the smallest table."""


class Zstd:
    """Compresses and decompresses; a (de)compressor of its own for each thread."""

    def __init__(self, packed: Packed, dictionary: bytes = b"") -> None:
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtraError("zstandard", "device", "a codec that ends in +zstd") from error
        self._zstandard = zstandard
        self._packed = packed
        self.max_payload = bound(packed.size)
        self._thread = _Contexts(dictionary, rarely=packed.crossing.kind in ("feature", CODE))

    @staticmethod
    def refusal(_base: str, _crossing: Crossing) -> str:
        return ""

    def compress(self, packed: bytes | memoryview) -> bytes:
        return self._thread.compressor.compress(packed)

    def decompress(self, payload: bytes) -> bytes:
        zstandard = self._zstandard
        try:
            # Before memory is taken: a bomb declares what it will become, or refuses to say (-1).
            declared = zstandard.frame_content_size(payload)
            self._packed.check(declared, "a zstd frame")
            # A frame of nothing is read as one of unknown size, were its most not given.
            data = self._thread.decompressor.decompress(
                payload, max_output_size=self._packed.size, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise PayloadError(f"not a zstd frame: {error}") from error
        if len(data) != declared:
            raise PayloadError(f"a zstd frame declares {declared} bytes and holds {len(data)}")
        return data


class ZstdDictionary(Zstd):
    """zstd with the dictionary that the bundle ships for this packer."""

    def __init__(self, packed: Packed) -> None:
        super().__init__(packed, packed.crossing.tables.dictionaries[packed.base])

    @staticmethod
    def refusal(base: str, crossing: Crossing) -> str:
        if base in crossing.tables.dictionaries:
            return ""
        return (
            f"the bundle ships no dictionary for {base} here, since it saved too little or there were no calibration "
            f"samples; take {base}+zstd"
        )


def bound(size: int) -> Bytes:
    """The largest frame that `size` bytes can become: ZSTD_compressBound."""
    small = 128 << 10
    return Bytes(size + (size >> 8) + (((small - size) >> 11) if size < small else 0))


class _Contexts(threading.local):
    """zstandard's objects are not to be shared by threads, and are worth keeping."""

    compressor: "zstandard.ZstdCompressor"
    decompressor: "zstandard.ZstdDecompressor"

    def __init__(self, dictionary: bytes, *, rarely: bool) -> None:
        import zstandard

        shared = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        # Without its number in each frame: the plan says which it is, and four bytes are spared.
        how = zstandard.ZstdCompressionParameters(
            compression_level=LEVEL,
            strategy=zstandard.STRATEGY_FAST,
            write_content_size=True,
            write_dict_id=False,
            **(RARELY if rarely else {}),
        )
        self.compressor = zstandard.ZstdCompressor(compression_params=how, dict_data=shared)
        self.decompressor = zstandard.ZstdDecompressor(dict_data=shared)
