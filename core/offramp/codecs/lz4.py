"""The entropy stage lz4: its block format, without a frame. Larger than zstd, and twice as fast on both ends."""

from offramp.codecs.packer import Crossing
from offramp.codecs.stage import Packed
from offramp.errors import MissingExtraError, PayloadError
from offramp.units import Bytes


class Lz4:
    """Blocks say no size; that of the packer is the most that memory is taken for."""

    def __init__(self, packed: Packed) -> None:
        try:
            import lz4.block
        except ImportError as error:
            raise MissingExtraError("lz4", "codecs", "a codec that ends in +lz4") from error
        self._block = lz4.block
        self._packed = packed
        # LZ4_compressBound.
        self.max_payload = Bytes(packed.size + packed.size // 255 + 16)

    @staticmethod
    def refusal(_base: str, _crossing: Crossing) -> str:
        return ""

    def compress(self, packed: bytes | memoryview) -> bytes:
        compressed: bytes = self._block.compress(packed, store_size=False)
        return compressed

    def decompress(self, payload: bytes) -> bytes:
        try:
            data: bytes = self._block.decompress(payload, uncompressed_size=self._packed.size)
        except self._block.LZ4BlockError as error:
            raise PayloadError(
                f"{len(payload)} bytes are no LZ4 block of {self._packed.size} bytes: {error}"
            ) from error
        self._packed.check(len(data), "an LZ4 block")
        return data
