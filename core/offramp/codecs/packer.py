"""The first half of a codec: lays a feature out as bytes, before the entropy stage.

feature ─► pack ─► packed bytes ─► entropy stage (or none) ─► payload
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import NO_TABLES, CutTables
from offramp.records import Array, Feature
from offramp.units import Bytes

CODE = "code"
FLOAT32 = np.dtype(np.float32)
"""To compare dtypes with: numpy makes one of a type anew each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What a codec is opened for: the tensors that cross one cut."""

    cut: int
    kind: str
    """The sample's kind (image, audio, …) at cut 0; `end` at the last cut; `feature` in between, or CODE where the code
    of a bottleneck crosses."""
    tensors: tuple[TensorSpec, ...]
    tables: CutTables = NO_TABLES
    """What the bundle knows of the tensors beside their ranges."""
    shapes: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)
    """Of one sample's tensors: [1, …]."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple((1, *spec.shape) for spec in self.tensors))


class Packer(Protocol):
    """Opened for one crossing; may be shared by threads."""

    max_packed: Bytes
    exact: bool
    """Every packed feature has exactly `max_packed` bytes."""

    def pack(self, feature: Feature) -> bytes | memoryview:
        """Contiguous; a memoryview is good until the next `pack` on this thread."""
        ...

    def unpack(self, packed: bytes) -> Feature:
        """The arrays may be read-only views of `packed`, whose length is right (or, unless exact, not too large).

        Raises:
            PayloadError: The bytes are no such feature.
        """
        ...


def check_feature(feature: Feature, crossing: Crossing) -> None:
    """Our own mistake, were it wrong: a payload of another shape would be read as something else."""
    shapes = tuple([tensor.shape for tensor in feature])
    assert shapes == crossing.shapes, (shapes, crossing.shapes)


def convert(values: Array, dtype: Any) -> Array:
    """In this dtype; what a narrower float cannot hold becomes infinite, without a warning."""
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)
