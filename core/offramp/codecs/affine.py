"""Evenly spaced levels over the range from calibration: `affine` + bits + `c` where each channel has its own range.

    q = floor((clip(x, low, high) - low) / step + 1/2)      step = (high - low) / (2^bits - 1)
    x = low + q · step

Ranges are fixed in the bundle, so that no scale travels and a payload decodes to the same floats everywhere.

# n levels of all tensors
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.specs import TensorSpec
from offramp.codecs.bits import BitPacker, Levels, is_padded, packed_size, unpack_bits
from offramp.codecs.layout import needs_floats
from offramp.codecs.packer import FLOAT32, Crossing, check_feature, convert
from offramp.errors import PayloadError
from offramp.records import Feature
from offramp.units import Bytes

MAX_OFFSET = 256.0
"""Widths that the range may lie away from zero; farther, float32 itself is too coarse for 256 levels."""
BLOCK = 32_768
"""Values that pass through all steps together: 128 KiB stay in the second-level cache, where 800 KB at once do not."""

Bounds = float | NDArray[np.float64]
"""One for a tensor, or one for each value of it."""


@dataclass(frozen=True, slots=True)
class Grain:
    """How finely a codec of this family quantises."""

    bits: int
    per_channel: bool = False

    @property
    def name(self) -> str:
        return f"affine{self.bits}{'c' * self.per_channel}"

    @property
    def top(self) -> int:
        """The highest level; the lowest is 0."""
        return (1 << self.bits) - 1

    def bounds(self, crossing: Crossing) -> list[tuple[Bounds, Bounds]]:
        """(low, high) of each tensor."""
        if not self.per_channel:
            return [(spec.low, spec.high) for spec in crossing.tensors]
        return [
            (_of_each_value(tables.low_C, spec, tables.axis), _of_each_value(tables.high_C, spec, tables.axis))
            for spec, tables in zip(crossing.tensors, crossing.tables.tensors, strict=True)
        ]


GRAINS = tuple(Grain(bits, per_channel) for bits in (8, 6, 4, 3, 2) for per_channel in (False, True))


class Affine:
    """|error| <= step / 2 inside the range, and float32's own rounding; values outside, and infinities, go to its ends.

    nan goes to `low`.
    """

    exact = True

    def __init__(self, crossing: Crossing, grain: Grain) -> None:
        self.crossing, self.grain = crossing, grain
        self.count = sum(spec.elements for spec in crossing.tensors)
        self.max_packed = Bytes(packed_size(self.count, grain.bits))
        self._tensors = [
            _Quantiser(spec, low, high, grain.top)
            for spec, (low, high) in zip(crossing.tensors, grain.bounds(crossing), strict=True)
        ]
        self._scratch = _Scratch(self.count, grain.bits, self._tensors)

    def pack(self, feature: Feature) -> memoryview:
        self.quantise(feature)
        return self._scratch.packer.pack().data

    def unpack(self, packed: bytes) -> Feature:
        if not is_padded(packed, self.count, self.grain.bits):
            raise PayloadError(f"the last of {len(packed)} bytes of {self.grain.name} is filled up with something")
        return self.restore(unpack_bits(packed, self.count, self.grain.bits))

    def quantise(self, feature: Feature) -> Levels:
        """[n] The levels of all tensors, good until the next call on this thread."""
        check_feature(feature, self.crossing)
        scratch = self._scratch
        for tensor, blocks in zip(feature, scratch.blocks, strict=True):
            flat = convert(tensor.reshape(-1), FLOAT32)
            for place, lows, highs, per_step, bias, floats, levels in blocks:
                # Clip first: then nothing overflows, and fmax sends nan to low.
                np.fmax(flat[place], lows, floats)
                np.fmin(floats, highs, floats)
                np.multiply(floats, per_step, floats)
                np.add(floats, bias, floats)
                np.copyto(levels, floats, "unsafe")  # truncates; everything lies in [0, 256)
        return scratch.packer.levels_n

    def restore(self, levels_n: Levels) -> Feature:
        """The feature that these levels stand for."""
        tensors, offset = [], 0
        for spec, quantiser in zip(self.crossing.tensors, self._tensors, strict=True):
            values = quantiser.decode(levels_n[offset : offset + spec.elements])
            offset += spec.elements
            tensors.append(convert(values, spec.dtype).reshape(1, *spec.shape))
        return tuple(tensors)

    @staticmethod
    def refusal(crossing: Crossing, grain: Grain) -> str:
        reason = needs_floats(crossing)
        if reason:
            return reason
        if grain.per_channel and not crossing.tables.tensors:
            return (
                "the bundle ships no ranges of channels for this cut; build it again, with data, or leave the c out "
                f"({Grain(grain.bits).name})"
            )
        for low, high in grain.bounds(crossing):
            reason = _too_coarse(np.ravel(low), np.ravel(high))
            if reason:
                return reason
        return ""


class _Block(NamedTuple):
    """Values that are quantised together, and what that takes: made once for each thread.

    Five passes over buffers that are there already: 6 GB/s of float32 on one core. To make the views in each call took
    3 µs more, as long as 4,000 values do.
    """

    place: slice
    """Among the values of its tensor."""
    lows: NDArray[np.float32]
    highs: NDArray[np.float32]
    per_step: NDArray[np.float32]
    bias: NDArray[np.float32]
    floats: NDArray[np.float32]
    """For what lies between two steps."""
    levels: Levels
    """Where they go."""


class _Quantiser:
    """One tensor's range."""

    def __init__(self, spec: TensorSpec, low: Bounds, high: Bounds, top: int) -> None:
        step = (high - low) / top
        self.elements = spec.elements
        self._step, self._low = _single(step), _single(low)
        self._per_step, self._bias = _single(1.0 / step), _single(0.5 - low / step)
        self._shifts = bool(np.any(self._low != 0))
        self._varies = np.ndim(low) > 0
        # As arrays, even where all are alike: numpy's fmax and fmin with a scalar take four times as long.
        length = spec.elements if self._varies else min(spec.elements, BLOCK)
        self._lows, self._highs = (np.broadcast_to(_single(end), length).copy() for end in (low, high))

    def blocks(self, floats: NDArray[np.float32], levels_n: Levels) -> Iterator[_Block]:
        """What takes all values of the tensor to `levels_n`."""
        for start in range(0, self.elements, BLOCK):
            place = slice(start, min(start + BLOCK, self.elements))
            length = place.stop - start
            ends, steps = (place, place) if self._varies else (slice(length), ...)
            yield _Block(
                place=place,
                lows=self._lows[ends],
                highs=self._highs[ends],
                per_step=self._per_step[steps],
                bias=self._bias[steps],
                floats=floats[:length],
                levels=levels_n[place],
            )

    def decode(self, levels: Levels) -> NDArray[np.float32]:
        values = levels.astype(np.float32)
        values *= self._step
        if self._shifts:
            values += self._low
        return values


class _Scratch(threading.local):
    """Buffers of one thread."""

    def __init__(self, count: int, bits: int, tensors: Sequence[_Quantiser]) -> None:
        self.packer = BitPacker(count, bits)
        longest = max((tensor.elements for tensor in tensors), default=0)
        floats = np.empty(min(longest, BLOCK), np.float32)
        self.blocks: list[tuple[_Block, ...]] = []
        """Of each tensor."""
        start = 0
        for tensor in tensors:
            levels_n = self.packer.levels_n[start : start + tensor.elements]
            self.blocks.append(tuple(tensor.blocks(floats, levels_n)))
            start += tensor.elements


def _of_each_value(ends_C: NDArray[np.float32], spec: TensorSpec, axis: int) -> NDArray[np.float64]:
    """What a channel has, for each of its values, flat."""
    along = [1] * len(spec.shape)
    along[axis] = len(ends_C)
    return np.broadcast_to(ends_C.astype(np.float64).reshape(along), spec.shape).reshape(-1)


def _single(value: Bounds) -> NDArray[np.float32]:
    return np.asarray(value, np.float32)


def _too_coarse(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """Why float32 cannot tell 256 levels between these ends apart; empty where it can."""
    for first, last in _worst(low, high):
        if not np.isfinite([first, last]).all() or first >= last:
            return f"the bundle has no calibrated range here ({first:g} to {last:g})"
        width = last - first
        # Outside these, float32 has no step, no inverse of it, or no values between two levels.
        if not 1e-30 <= width <= 1e30 or max(abs(first), abs(last)) > MAX_OFFSET * width:
            return f"the calibrated range, {first:g} to {last:g}, is too narrow or too wide for float32"
    return ""


def _worst(low: NDArray[np.float64], high: NDArray[np.float64]) -> Sequence[tuple[float, float]]:
    """Of many ranges those that may be too coarse: not finite, narrowest, widest, farthest from zero for its width."""
    if not low.size:
        return ()
    if not (np.isfinite(low) & np.isfinite(high)).all():
        at = int(np.argmin(np.isfinite(low) & np.isfinite(high)))
        return ((float(low[at]), float(high[at])),)
    width = high - low
    if (width <= 0).any():
        places = {int(np.argmin(width))}
    else:
        away = np.maximum(np.abs(low), np.abs(high)) / width
        places = {int(np.argmin(width)), int(np.argmax(width)), int(np.argmax(away))}
    return tuple((float(low[at]), float(high[at])) for at in sorted(places))
