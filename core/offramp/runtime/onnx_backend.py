"""ONNX Runtime: opens segments as sessions over the process's one thread pool, and keeps a bounded number open."""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

import numpy as np
import onnxruntime

from offramp.bundle.manifest import CutSpec, Manifest, SegmentSpec
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.records import Feature
from offramp.runtime.runtime import SegmentOutputs
from offramp.runtime.session import bare_run, open_session
from offramp.runtime.threads import configure_threads, ensure_threads

__all__ = ["OnnxRuntime", "OnnxSegment", "configure_threads"]

CAPACITY = 16
"""Open segments. One of ResNet-18 costs about 60 MB, and a plan needs a handful."""

_Key = tuple[int, int, bool]


class OnnxSegment:
    """An opened segment."""

    def __init__(self, spec: SegmentSpec, session: onnxruntime.InferenceSession, features: int) -> None:
        self.spec = spec
        self._inputs = tuple(item.name for item in session.get_inputs())
        self._input = self._inputs[0] if len(self._inputs) == 1 else ""  # nearly always one, which spares 0.4 µs
        self._outputs = [item.name for item in session.get_outputs()]
        self._features = features
        self._answers = len(self._outputs) > features
        self._run = bare_run(session)

    def run(self, feature: Feature) -> SegmentOutputs:
        """Safe from several threads at once; the arrays that come back belong to the caller."""
        if self._input:
            (tensor,) = feature
            given = {self._input: tensor}
        else:
            given = dict(zip(self._inputs, feature, strict=True))
        values = self._run(self._outputs, given)
        if not self._answers:
            return SegmentOutputs(tuple(values))
        features = self._features
        return SegmentOutputs(tuple(values[:features]), values[features], values[features + 1])


class OnnxRuntime:
    """The segments of one bundle, opened when they are asked for; the least recently used leaves.

    A segment that left goes on working for whoever still holds it, and is freed with the last of them.
    """

    def __init__(self, bundle: Bundle, *, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} keeps nothing open; give at least 1")
        self._bundle = bundle
        self._capacity = capacity
        self._lock = threading.Lock()
        self._segments: OrderedDict[_Key, OnnxSegment] = OrderedDict()
        self._opening: dict[_Key, Future[OnnxSegment]] = {}

    def __enter__(self) -> "OnnxRuntime":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, start: int, stop: int, *, branch: bool) -> OnnxSegment:
        """The segment, opened and warmed unless it is open already; several askers wait for one opening.

        Raises:
            PlanError: The bundle holds no such segment.
            BundleError: The segment cannot be loaded.
        """
        key = (start, stop, branch)
        with self._lock:
            segment = self._segments.get(key)
            if segment is not None:
                self._segments.move_to_end(key)
                return segment
            others = self._opening.get(key)
            if others is None:
                mine = self._opening[key] = Future[OnnxSegment]()
        if others is not None:
            return others.result()
        # Outside the lock: opening takes tens of milliseconds, and others go on meanwhile.
        try:
            segment = _open(self._bundle, self._bundle.manifest.segment(start, stop, branch=branch))
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
        """(start, stop, branch) of the open segments, the least recently used first."""
        with self._lock:
            return tuple(self._segments)

    def close(self) -> None:
        """Let go of every segment."""
        with self._lock:
            self._segments.clear()


def _open(bundle: Bundle, spec: SegmentSpec) -> OnnxSegment:
    ensure_threads()
    path = bundle.file(spec.file)
    manifest = bundle.manifest
    try:
        options = onnxruntime.SessionOptions()
        options.use_per_session_threads = False
        session = open_session(str(path), options)
        _check(session, spec, manifest)
        features = len(manifest.cuts[spec.stop].tensors) if spec.stop < manifest.end else 0
        segment = OnnxSegment(spec, session, features)
        segment.run(_zeros(manifest.cuts[spec.start]))
    except BundleError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no other parent
        reason = str(error).strip().partition("\n")[0]
        raise BundleError(f"{path} cannot be loaded: {reason}; fetch or build the bundle again") from error
    return segment


def _check(session: Any, spec: SegmentSpec, manifest: Manifest) -> None:
    """The graph's inputs and outputs are those that the manifest promises: a swapped one would be silently wrong."""
    inputs = [f"feature_{index}" for index in range(len(manifest.cuts[spec.start].tensors))]
    outputs = []
    if spec.stop < manifest.end:
        outputs = [f"feature_{index}_out" for index in range(len(manifest.cuts[spec.stop].tensors))]
    if spec.branch or spec.stop == manifest.end:
        outputs += ["logits", "scores"]
    for what, expected, items in (
        ("inputs", inputs, session.get_inputs()),
        ("outputs", outputs, session.get_outputs()),
    ):
        found = [item.name for item in items]
        if found != expected:
            raise BundleError(
                f"{spec.file} has {what} {', '.join(found)} instead of {', '.join(expected)}; build the bundle again"
            )


def _zeros(cut: CutSpec) -> Feature:
    return tuple(np.zeros((1, *tensor.shape), tensor.dtype) for tensor in cut.tensors)
