"""ONNX Runtime: opens segments as sessions over the process's one thread pool, and keeps a bounded number open."""

import onnxruntime

from offramp.bundle.specs import SegmentSpec
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.records import Feature
from offramp.runtime.opening import CAPACITY, SegmentKeeper, check_ends, zeros
from offramp.runtime.runtime import SegmentOutputs
from offramp.runtime.session import bare_run, open_session
from offramp.runtime.threads import configure_threads, ensure_threads

__all__ = ["OnnxRuntime", "OnnxSegment", "configure_threads"]


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


class OnnxRuntime(SegmentKeeper[OnnxSegment]):
    """The segments of one bundle as sessions of ONNX Runtime."""

    def __init__(self, bundle: Bundle, *, capacity: int = CAPACITY) -> None:
        super().__init__(bundle, capacity=capacity)

    def _load(self, spec: SegmentSpec) -> OnnxSegment:
        return _open(self._bundle, spec)


def _open(bundle: Bundle, spec: SegmentSpec) -> OnnxSegment:
    ensure_threads()
    path = bundle.file(spec.file)
    manifest = bundle.manifest
    try:
        options = onnxruntime.SessionOptions()
        options.use_per_session_threads = False
        session = open_session(str(path), options)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        check_ends(spec, manifest, [item.name for item in inputs], [item.name for item in outputs])
        segment = OnnxSegment(spec, session, len(manifest.left_by(spec)))
        segment.run(zeros(manifest.given_to(spec)))
    except BundleError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no other parent
        reason = str(error).strip().partition("\n")[0]
        raise BundleError(f"{path} cannot be loaded: {reason}; fetch or build the bundle again") from error
    return segment
