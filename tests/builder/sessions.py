"""Running the segments of a bundle as a foreign program would: ONNX Runtime, and nothing of ours."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

from offramp.bundle.store import Bundle
from offramp.runtime.threads import ensure_threads

Outputs = dict[str, np.ndarray]


def open_segment(bundle: Bundle, start: int, stop: int, *, branch: bool = False) -> Callable[..., Outputs]:
    """`segment(feature_0, …)`: its outputs by name, in order."""
    ensure_threads()  # once some other test has made the process's pool, a session has to take its threads from it
    options = onnxruntime.SessionOptions()
    options.use_per_session_threads = False
    path = segment_file(bundle, start, stop, branch=branch)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def segment(*feature: np.ndarray) -> Outputs:
        given = {f"feature_{index}": tensor for index, tensor in enumerate(feature)}
        return dict(zip(names, session.run(names, given), strict=True))

    return segment


def segment_file(bundle: Bundle, start: int, stop: int, *, branch: bool = False) -> str:
    return str(bundle.file(bundle.manifest.segment(start, stop, branch=branch).file))


def segment_graph(bundle: Bundle, start: int, stop: int, *, branch: bool = False) -> onnx.GraphProto:
    """What is in the file, without the weights."""
    return onnx.load(segment_file(bundle, start, stop, branch=branch), load_external_data=False).graph
