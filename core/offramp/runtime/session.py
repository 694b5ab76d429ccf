"""How a session is opened here, and called."""

from collections.abc import Callable, Mapping
from typing import Any

import onnxruntime

from offramp.records import Array

_ERRORS_ONLY = 3  # ONNX Runtime's severity; its log goes to standard error

BareRun = Callable[[list[str], Mapping[str, Array]], list[Array]]


def open_session(model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A session on the processor over a file or a serialised graph; it never writes to standard output."""
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        # The fallback would try the same provider once more, and print about it.
        enable_fallback=0,
    )


def bare_run(session: onnxruntime.InferenceSession) -> BareRun:
    """The session's `run` without what its Python wrapper adds: (output names, inputs by name) to arrays.

    The wrapper looks for GPU values and falls back to other providers: 1.5 of 4 µs for nothing here. Safe from several
    threads at once.
    """
    call = getattr(session, "_sess", session).run
    options = onnxruntime.RunOptions()  # given none, every call would make one: 0.6 µs

    def run(outputs: list[str], inputs: Mapping[str, Array]) -> list[Array]:
        values: list[Any] = call(outputs, inputs, options)
        return values

    return run
