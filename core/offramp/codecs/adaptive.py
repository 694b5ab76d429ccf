"""A rate for each sample, chosen by its code: `slim/affine2:sure9` sends as few channels as will do.

    code [1, C, …] ─► linear probe of its first 4, 8, 16, … channels ─► what each would answer
                                                     └─► the fewest that say with 0.9 what all of them say
    payload: which number of channels (1 byte), then the payload of `slim/affine2:8`, or of as many as it was

A number of channels says what all say with the probability that two answers, one drawn by each, are the same. The probe
is a guess at what the edge will make of the code, and far cheaper: some microseconds, where a branch of the network
takes as long as a stage. Whether the guesses are any good is for calibration samples to tell, as of every codec.

# C channels, R numbers of channels, B blocks of channels of v values, V values of a code, K classes
"""

import re
from collections.abc import Sequence

import numpy as np

from offramp.bundle.tables import ProbeTables
from offramp.codecs.codec import Codec, check_size
from offramp.codecs.stage import EntropyStage
from offramp.errors import PayloadError
from offramp.records import Array, Feature
from offramp.units import Bytes

_SURE = re.compile(r"sure(?P<digits>\d{1,4})")
_INDEX = 1
"""Bytes that say which number of channels follows."""


def is_adaptive(codec: str) -> bool:
    """Whether a codec's name, with its bottleneck's or without, asks for a rate for each sample."""
    return ":sure" in codec


def sure_of(parameter: str) -> float | None:
    """0.95 of `sure95`: the digits behind the point; None of what is no such parameter."""
    match = _SURE.fullmatch(parameter)
    return float(f"0.{match['digits']}") if match and int(match["digits"]) else None


def sure_name(sure: float) -> str:
    """`sure95` of 0.95."""
    return f"sure{f'{sure:.4f}'.rstrip('0').partition('.')[2]}"


class Probe:
    """Says how many channels of a code will do.

    Numpy's calls are what takes time here, not the products: channels come in blocks that all numbers of them are
    multiples of, so that one call multiplies all.
    """

    def __init__(self, tables: ProbeTables) -> None:
        channels_R = tables.channels_R.astype(int)
        block = int(np.gcd.reduce(channels_R))
        self._blocks = int(channels_R[-1]) // block
        self._values = len(tables.weight_VK)
        self._weight_BvK = np.ascontiguousarray(tables.weight_VK.reshape(self._blocks, -1, tables.weight_VK.shape[1]))
        self._last_R = channels_R // block - 1
        self._scale_R1 = tables.scale_R.astype(np.float64)[:, None]
        self._bias_RK = tables.bias_RK.astype(np.float64)
        self._ones_K = np.ones(self._bias_RK.shape[1])

    def index(self, code: Array, sure: float) -> int:
        """Of the first number of channels that says with this probability what all say; the last, if none does."""
        flat_B1v = code.reshape(-1)[: self._values].reshape(self._blocks, 1, -1)
        said_RK = np.matmul(flat_B1v, self._weight_BvK)[:, 0].cumsum(0, dtype=np.float64)[self._last_R]
        said_RK *= self._scale_R1
        said_RK += self._bias_RK
        # As float64, so that nothing overflows but for nonsense, which is sent whole; and not divided by its sums.
        np.exp(said_RK, said_RK)
        total_R = said_RK @ self._ones_K
        enough_R = said_RK @ said_RK[-1] >= (sure * total_R[-1]) * total_R
        enough_R[-1] = True
        return int(enough_R.argmax())


class Adaptive:
    """A codec of codecs, one for each number of channels."""

    def __init__(self, name: str, probe: Probe, sure: float, rates: Sequence[Codec]) -> None:
        self.name = name
        self.max_payload = Bytes(_INDEX + max(rate.max_payload for rate in rates))
        self._probe, self._sure, self._rates = probe, sure, rates

    def encode(self, feature: Feature) -> bytes:
        index = self._probe.index(feature[0], self._sure)
        return index.to_bytes(_INDEX, "little") + self._rates[index].encode(feature)

    def decode(self, payload: bytes) -> Feature:
        check_size(self.name, len(payload), self.max_payload)
        index = _index_of(payload, len(self._rates), self.name)
        return self._rates[index].decode(payload[_INDEX:])


class AdaptiveStage:
    """The entropy stage behind what an adaptive codec without one has written."""

    def __init__(self, name: str, stages: Sequence[EntropyStage]) -> None:
        self.max_payload = Bytes(_INDEX + max(stage.max_payload for stage in stages))
        self._name, self._stages = name, stages

    def compress(self, packed: bytes | memoryview) -> bytes:
        packed = bytes(packed)
        return packed[:_INDEX] + self._stages[packed[0]].compress(packed[_INDEX:])

    def decompress(self, payload: bytes) -> bytes:
        index = _index_of(payload, len(self._stages), self._name)
        return payload[:_INDEX] + self._stages[index].decompress(payload[_INDEX:])


def _index_of(payload: bytes, count: int, name: str) -> int:
    if not payload:
        raise PayloadError(f"a payload of 0 bytes where {name} begins with which number of channels follows")
    if payload[0] >= count:
        raise PayloadError(
            f"a payload of {len(payload)} bytes begins with {payload[0]}, and {name} knows {count} numbers of "
            "channels, counted from 0: truncated, malformed, or of another plan"
        )
    return payload[0]
