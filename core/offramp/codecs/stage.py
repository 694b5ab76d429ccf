"""The second half of a codec: makes packed bytes fewer, and loses nothing.

feature ─► pack ─► packed bytes ─► entropy stage ─► payload
"""

from dataclasses import dataclass
from typing import Protocol

from offramp.codecs.packer import Crossing, Packer
from offramp.errors import PayloadError
from offramp.units import Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What an entropy stage is opened for: the packer whose bytes it makes fewer."""

    base: str
    """Its name in the catalogue."""
    packer: Packer
    crossing: Crossing

    @property
    def size(self) -> Bytes:
        """Of what is packed: exactly, or at most."""
        return self.packer.max_packed

    def check(self, size: int, what: str) -> None:
        """Before memory is taken.

        Raises:
            PayloadError: Nothing of this size was packed.
        """
        if size > self.size or (self.packer.exact and size != self.size):
            said, most = "no size" if size < 0 else f"{size} bytes", "" if self.packer.exact else "at most "
            raise PayloadError(f"{what} declares {said} where {most}{self.size} are expected")


class EntropyStage(Protocol):
    """Opened for one packer; may be shared by threads."""

    max_payload: Bytes
    """The most that its packed bytes can become."""

    def compress(self, packed: bytes | memoryview) -> bytes: ...

    def decompress(self, payload: bytes) -> bytes:
        """The packed bytes: as many as the packer announces.

        Raises:
            PayloadError: The payload is truncated, malformed or oversized.
        """
        ...
