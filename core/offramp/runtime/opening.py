"""What runtimes share: segments opened once each, a bounded number kept, and a check of what was opened."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Generic, Self, TypeVar

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import SegmentSpec, TensorSpec
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.records import Feature
from offramp.runtime.runtime import Segment

CAPACITY = 16
"""Open segments. One of ResNet-18 costs about 60 MB, and a plan needs a handful."""

S = TypeVar("S", bound=Segment)
_Key = tuple[int, int, bool, str]


class SegmentKeeper(ABC, Generic[S]):
    """The segments of one bundle, opened when they are asked for; the least recently used leaves.

    A segment that left goes on working for whoever still holds it, and is freed with the last of them.
    """

    def __init__(self, bundle: Bundle, *, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} keeps nothing open; give at least 1")
        self._bundle = bundle
        self._capacity = capacity
        self._lock = threading.Lock()
        self._segments: OrderedDict[_Key, S] = OrderedDict()
        self._opening: dict[_Key, Future[S]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _load(self, spec: SegmentSpec) -> S:
        """The segment, checked and warmed; called by one thread at a time for one segment.

        Raises:
            BundleError: It cannot be loaded.
        """

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> S:
        """The segment, opened and warmed unless it is open already; several askers wait for one opening.

        Raises:
            PlanError: The bundle holds no such segment.
            BundleError: The segment cannot be loaded.
        """
        key = (start, stop, branch, via)
        with self._lock:
            segment = self._segments.get(key)
            if segment is not None:
                self._segments.move_to_end(key)
                return segment
            others = self._opening.get(key)
            if others is None:
                mine = self._opening[key] = Future[S]()
        if others is not None:
            return others.result()
        # Outside the lock: opening takes tens of milliseconds, and others go on meanwhile.
        try:
            segment = self._load(self._bundle.manifest.segment(start, stop, branch=branch, via=via))
        except BaseException as error:
            with self._lock:
                del self._opening[key]  # so that the next asker tries again
            mine.set_exception(error)
            raise
        with self._lock:
            del self._opening[key]
            self._segments[key] = segment
            while len(self._segments) > self._capacity:
                self._segments.popitem(last=False)
        mine.set_result(segment)
        return segment

    @property
    def opened(self) -> tuple[_Key, ...]:
        """(start, stop, branch, via) of the open segments, the least recently used first."""
        with self._lock:
            return tuple(self._segments)

    def close(self) -> None:
        """Let go of every segment."""
        with self._lock:
            self._segments.clear()


def check_ends(spec: SegmentSpec, manifest: Manifest, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """The graph's inputs and outputs are those that the manifest promises: a swapped one would be silently wrong.

    Raises:
        BundleError: They are others.
    """
    expected_inputs = [f"feature_{index}" for index in range(len(manifest.given_to(spec)))]
    expected_outputs = [f"feature_{index}_out" for index in range(len(manifest.left_by(spec)))]
    if spec.branch or spec.stop == manifest.end:
        expected_outputs += ["logits", "scores"]
    for what, expected, found in (("inputs", expected_inputs, inputs), ("outputs", expected_outputs, outputs)):
        if list(found) != expected:
            raise BundleError(
                f"{spec.file} has {what} {', '.join(found)} instead of {', '.join(expected)}; build the bundle again"
            )


def zeros(tensors: Sequence[TensorSpec]) -> Feature:
    """What a segment that begins with these is warmed with."""
    return tuple(np.zeros((1, *tensor.shape), tensor.dtype) for tensor in tensors)
