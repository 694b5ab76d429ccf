"""Packers that keep each value as it is, or as a shorter float: one tensor after the other, little-endian.

Sizes follow from the manifest, so nothing but values is written.
"""

import numpy as np

from offramp.codecs.packer import Crossing, check_feature, convert
from offramp.records import Array, Feature
from offramp.units import Bytes

FLOAT16_MAX = 65504.0


class Layout:
    """Tensors one after the other, each in its wire dtype."""

    exact = True

    def __init__(self, crossing: Crossing, wire: tuple[np.dtype, ...]) -> None:
        self._crossing = crossing
        self._wire = wire
        self.max_packed = Bytes(
            sum(spec.elements * dtype.itemsize for spec, dtype in zip(crossing.tensors, wire, strict=True))
        )

    def pack(self, feature: Feature) -> bytes | memoryview:
        check_feature(feature, self._crossing)
        parts = [self._to_wire(tensor, dtype) for tensor, dtype in zip(feature, self._wire, strict=True)]
        # reshape(-1): memoryviews of several dimensions are slow to copy.
        return parts[0].reshape(-1).view(np.uint8).data if len(parts) == 1 else b"".join(part.data for part in parts)

    def unpack(self, packed: bytes) -> Feature:
        tensors = []
        offset = 0
        for spec, dtype in zip(self._crossing.tensors, self._wire, strict=True):
            values = np.frombuffer(packed, dtype, spec.elements, offset)
            offset += values.nbytes
            if not values.flags.aligned:
                values = values.copy()  # ONNX Runtime reads whole vectors
            tensors.append(self._from_wire(values, np.dtype(spec.dtype)).reshape(1, *spec.shape))
        return tuple(tensors)

    def _to_wire(self, tensor: Array, dtype: np.dtype) -> Array:
        return np.ascontiguousarray(convert(tensor, dtype))

    def _from_wire(self, values: Array, dtype: np.dtype) -> Array:
        return convert(values, dtype)


class Raw(Layout):
    """Every value in its own dtype: lossless."""

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        super().__init__(crossing, tuple(np.dtype(spec.dtype).newbyteorder("<") for spec in crossing.tensors))

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        kinds = {np.dtype(spec.dtype).kind for spec in crossing.tensors}
        if not kinds <= set("iuf"):
            return "raw carries integers and floats alone"
        if crossing.kind == "feature" and kinds == {"f"}:
            return "raw is for the input, float32 does the same for features"
        return nothing_sent(crossing)


class Float32(Layout):
    """Every value as float32: lossless for the features of most networks; nan and infinities travel as they are."""

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        super().__init__(crossing, (np.dtype("<f4"),) * len(crossing.tensors))

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        return needs_floats(crossing)


class Float16(Layout):
    """Every value as float16, rounded to nearest even: 11 significant bits; nan and infinities travel as they are.

    |error| <= 2^-11 |x| for 2^-14 <= |x| <= 65504 and <= 2^-25 below; beyond, infinite.
    """

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        from offramp.runtime.half import from_half, to_half  # ONNX Runtime: no other codec needs it

        super().__init__(crossing, (np.dtype("<f2"),) * len(crossing.tensors))
        self._to_half, self._from_half = to_half, from_half

    def _to_wire(self, tensor: Array, dtype: np.dtype) -> Array:
        return convert(self._to_half(convert(tensor, np.float32)), dtype)

    def _from_wire(self, values: Array, dtype: np.dtype) -> Array:
        return convert(self._from_half(values), dtype)

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        largest = max((max(abs(spec.low), abs(spec.high)) for spec in crossing.tensors), default=0.0)
        if largest > FLOAT16_MAX:
            return f"its values reach {largest:g}, float16 ends at {FLOAT16_MAX:g}"
        return needs_floats(crossing)


def needs_floats(crossing: Crossing) -> str:
    """Why codecs for floats cannot be used here; empty where they can."""
    for spec in crossing.tensors:
        if np.dtype(spec.dtype).kind != "f":
            return f"it is for float tensors, and here is one of {spec.dtype}"
    return nothing_sent(crossing)


def nothing_sent(crossing: Crossing) -> str:
    return "nothing is sent at the end of the network" if crossing.kind == "end" else ""
