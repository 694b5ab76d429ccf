"""One byte per value, evenly spaced over the range from calibration.

    q = floor((clip(x, low, high) - low) / step + 1/2)      step = (high - low) / 255
    x = low + q · step

The range is fixed in the manifest, so that no scale travels and a payload decodes to the same floats everywhere.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import TensorSpec
from offramp.codecs.layout import needs_floats
from offramp.codecs.packer import Crossing, check_feature, convert
from offramp.records import Array, Feature
from offramp.units import Bytes

LEVELS = 255
"""Steps between the ends of the range."""
MAX_OFFSET = 256.0
"""Widths that the range may lie away from zero; farther, float32 itself is too coarse for 256 levels."""


class Affine8:
    """|error| <= step / 2 inside the range, and float32's own rounding; values outside, and infinities, go to its ends.

    nan goes to `low`.
    """

    exact = True

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        self._crossing = crossing
        self._tensors = [_Quantiser(spec) for spec in crossing.tensors]
        self.max_packed = Bytes(sum(spec.elements for spec in crossing.tensors))
        self._scratch = _Scratch(crossing.tensors)

    def pack(self, feature: Feature) -> memoryview:
        check_feature(feature, self._crossing)
        scratch = self._scratch
        for tensor, quantiser, floats, levels in zip(
            feature, self._tensors, scratch.floats, scratch.levels, strict=True
        ):
            quantiser.encode(convert(tensor, np.float32), floats, levels)
        return scratch.packed.data

    def unpack(self, packed: bytes) -> Feature:
        tensors = []
        offset = 0
        for spec, quantiser in zip(self._crossing.tensors, self._tensors, strict=True):
            levels = np.frombuffer(packed, np.uint8, spec.elements, offset)
            offset += spec.elements
            tensors.append(convert(quantiser.decode(levels), spec.dtype).reshape(1, *spec.shape))
        return tuple(tensors)

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        reason = needs_floats(crossing)
        if reason:
            return reason
        for spec in crossing.tensors:
            if not np.isfinite([spec.low, spec.high]).all() or spec.low >= spec.high:
                return f"the bundle has no calibrated range here ({spec.low:g} to {spec.high:g})"
            width = spec.high - spec.low
            # Outside these, float32 has no step, no inverse of it, or no values between two levels.
            if not 1e-30 <= width <= 1e30 or max(abs(spec.low), abs(spec.high)) > MAX_OFFSET * width:
                return f"the calibrated range, {spec.low:g} to {spec.high:g}, is too narrow or too wide for float32"
        return ""


class _Quantiser:
    def __init__(self, spec: TensorSpec) -> None:
        step = (spec.high - spec.low) / LEVELS
        self.low, self.high = np.float32(spec.low), np.float32(spec.high)
        self.step = np.float32(step)
        self._per_step = np.float32(1.0 / step)
        self._bias = np.float32(0.5 - spec.low / step)

    def encode(self, tensor: Array, floats: NDArray[np.float32], levels: NDArray[np.uint8]) -> None:
        """Five passes over buffers that are there already: 4 to 6 GB/s of float32 on one core."""
        # Clip first: then nothing overflows, and fmax sends nan to low.
        np.fmax(tensor, self.low, out=floats)
        np.fmin(floats, self.high, out=floats)
        np.multiply(floats, self._per_step, out=floats)
        np.add(floats, self._bias, out=floats)
        np.copyto(levels, floats, casting="unsafe")  # truncates; everything lies in [0, 256)

    def decode(self, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = levels.astype(np.float32)
        values *= self.step
        if self.low != 0:
            values += self.low
        return values


class _Scratch(threading.local):
    """Buffers of one thread, of the size of one feature."""

    def __init__(self, tensors: tuple[TensorSpec, ...]) -> None:
        self.packed = np.empty(sum(spec.elements for spec in tensors), np.uint8)
        self.floats = [np.empty((1, *spec.shape), np.float32) for spec in tensors]
        self.levels = []
        offset = 0
        for spec in tensors:
            self.levels.append(self.packed[offset : offset + spec.elements].reshape(1, *spec.shape))
            offset += spec.elements
