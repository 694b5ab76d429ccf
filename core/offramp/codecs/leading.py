"""The first channels of a bottleneck's code: `slim/affine4:8` sends 8 of them, and the others read 0 at the edge.

    code [1, C, …] ─► its first 8 channels ─► any codec ─► payload ─► … ─► 8 channels, C - 8 of zeros

Channels lie one after the other and carry no header, so a payload with fewer of them is the beginning of one with more:
to the byte where nothing follows the levels (but for the last byte, if channels do not fill whole ones), and where the
range coder does. Frames of zstd and lz4 have no such beginning.

# C channels
"""

from dataclasses import replace

import numpy as np

from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import CutTables
from offramp.codecs.affine import Affine
from offramp.codecs.packer import CODE, Crossing, Packer
from offramp.codecs.prefix_range import PrefixRange
from offramp.codecs.stacked import Stacked
from offramp.codecs.stage import EntropyStage
from offramp.errors import PayloadError
from offramp.records import Feature


def first_channels(cut: int, whole: TensorSpec, channels: int, tables: CutTables) -> Crossing:
    """What crosses when so many channels of a code are sent."""
    return Crossing(
        cut=cut,
        kind=CODE,
        tensors=(replace(whole, shape=(channels, *whole.shape[1:])),),
        tables=CutTables(
            tensors=tuple(
                replace(
                    there,
                    low_C=there.low_C[:channels],
                    high_C=there.high_C[:channels],
                    counts_CL=there.counts_CL[:channels],
                    own_counts_CL=there.own_counts_CL[:channels],
                )
                for there in tables.tensors
            ),
            dictionaries={
                name.removesuffix(f":{channels}"): dictionary
                for name, dictionary in tables.dictionaries.items()
                if name.endswith(f":{channels}")
            },
        ),
    )


class Leading:
    """A codec for a part of a code."""

    def __init__(
        self, whole: TensorSpec, channels: int, codec: Stacked, packer: Packer, entropy: EntropyStage | None
    ) -> None:
        """`codec`, made of the other two, writes what has `channels` channels."""
        self.name = codec.name
        self.max_payload = codec.max_payload
        self._shape = (1, *whole.shape)
        self._channels = channels
        self._codec, self._packer, self._entropy = codec, packer, entropy

    def encode(self, feature: Feature) -> bytes:
        (code,) = feature
        assert code.shape == self._shape, (code.shape, self._shape)
        sent = (code[:, : self._channels],)
        if isinstance(self._entropy, PrefixRange) and isinstance(self._packer, Affine):
            return self._entropy.code(self._packer.quantise(sent))  # unpacked: a third of the time for a small code
        return self._codec.encode(sent)

    def decode(self, payload: bytes) -> Feature:
        if isinstance(self._entropy, PrefixRange) and isinstance(self._packer, Affine):
            self._codec.check(len(payload))
            (sent,) = self._packer.restore(self._entropy.levels(payload))
        else:
            (sent,) = self._codec.decode(payload)
        if sent.shape == self._shape:
            return (sent,)
        code = np.zeros(self._shape, sent.dtype)
        code[:, : self._channels] = sent
        return (code,)

    def beginning_of(self, payload: bytes) -> bytes:
        """The part of a payload with more channels that this codec decodes, to what it would have been sent itself.

        Raises:
            PayloadError: It is shorter, or of a codec whose payloads have no such part.
        """
        if isinstance(self._entropy, PrefixRange):
            return self._entropy.beginning_of(payload)
        if self._entropy is not None or not self._packer.exact:
            raise PayloadError(f"payloads of {self.name} have no such part; those without a stage do, or with +range")
        size = self._packer.max_packed
        if len(payload) < size:
            raise PayloadError(f"a payload of {len(payload)} bytes does not begin with the {size} of {self.name}")
        begun = bytearray(payload[:size])
        if isinstance(self._packer, Affine) and (used := self._packer.count * self._packer.grain.bits % 8):
            begun[-1] &= (1 << used) - 1
        return bytes(begun)
