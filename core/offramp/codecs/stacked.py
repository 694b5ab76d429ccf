"""A codec made of a packer and, perhaps, an entropy stage behind it."""

from offramp.codecs.codec import check_size
from offramp.codecs.packer import Packer
from offramp.codecs.stage import EntropyStage
from offramp.records import Feature


class Stacked:
    """feature ─► pack ─► compress ─► payload; payload ─► decompress ─► unpack ─► feature."""

    def __init__(self, name: str, packer: Packer, entropy: EntropyStage | None) -> None:
        self.name = name
        self._packer = packer
        self._entropy = entropy
        self._exact = packer.exact and entropy is None
        self.max_payload = packer.max_packed if entropy is None else entropy.max_payload

    def encode(self, feature: Feature) -> bytes:
        packed = self._packer.pack(feature)
        return bytes(packed) if self._entropy is None else self._entropy.compress(packed)

    def decode(self, payload: bytes) -> Feature:
        self.check(len(payload))
        if self._entropy is not None:
            payload = self._entropy.decompress(payload)
        return self._packer.unpack(payload)

    def check(self, size: int) -> None:
        """Before memory is taken.

        Raises:
            PayloadError: No payload has this size.
        """
        check_size(self.name, size, self.max_payload, exact=self._exact)
