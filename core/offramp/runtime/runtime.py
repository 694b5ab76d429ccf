"""The protocol of a runtime: opens segments and runs them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.specs import SegmentSpec
from offramp.records import Feature


@dataclass(slots=True)
class SegmentOutputs:
    """What one segment computed for N samples; which parts are there depends on where it ends."""

    feature: Feature
    """Empty when the segment ends at cut n."""
    logits_NK: NDArray[np.float32] | None = None
    scores_NS: NDArray[np.float32] | None = None
    """Both are there when the segment ends in a branch or at cut n."""


class Segment(Protocol):
    """An opened segment; `run` may be called from several threads."""

    spec: SegmentSpec

    def run(self, feature: Feature) -> SegmentOutputs: ...


class Runtime(Protocol):
    """Opens segments of one bundle; keeps a bounded number of them open, the least recently used leaves."""

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> Segment:
        """The segment, via a bottleneck where one is named, opened and warmed (one run on zeros) unless it
        is open already. Safe from any thread.

        Raises:
            PlanError: The bundle holds no such segment.
            BundleError: The segment cannot be loaded.
        """
        ...

    def close(self) -> None: ...
