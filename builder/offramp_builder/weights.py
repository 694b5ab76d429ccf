"""The one file that holds the weights of all segments of a bundle, each once.

Segments overlap: most stages are in dozens of them. A weight is written where its bytes are first met; whoever has the
same bytes points there. ONNX Runtime maps the file, so that what several open segments share is in memory once.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx_ir
from onnx import StringStringEntryProto, TensorProto
from onnx.helper import np_dtype_to_tensor_dtype

ALIGNMENT = 64
"""A cache line, and the widest vector register: no weight begins in the middle of one."""
INLINE_WEIGHT = 128
"""Bytes up to which a floating-point weight stays inside its graph: naming its place takes about as many."""
INLINE_INDEX = 1024
"""The same for integers: shapes and axes must stay inside, where ONNX Runtime looks when it infers shapes."""


class WeightFile:
    """Collects weights, and writes them when all are known."""

    def __init__(self, name: str) -> None:
        """Segments find the file as `name`, beside themselves."""
        self.name = name
        self._chunks: list[bytes] = []
        self._end = 0
        self._offsets: dict[bytes, int] = {}
        self._placed: dict[str, TensorProto] = {}

    def place(self, name: str, weight: onnx_ir.TensorProtocol) -> TensorProto:
        """The initialiser `name` of a graph: the weight itself when it is small, else its place in the file.

        A name stands for one weight in all graphs: it is read and digested when it is first placed.
        """
        if name not in self._placed:
            self._placed[name] = self._place(name, weight)
        return self._placed[name]

    def write(self, folder: Path) -> None:
        """Write the file into `folder`; an empty one when every weight was small."""
        with (folder / self.name).open("wb") as file:
            file.writelines(self._chunks)

    def _place(self, name: str, weight: onnx_ir.TensorProtocol) -> TensorProto:
        array = np.asarray(weight.numpy(), order="C")  # ascontiguousarray would turn a scalar into a vector
        proto = TensorProto(name=name, data_type=np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        data = array.tobytes()
        if len(data) <= (INLINE_WEIGHT if np.issubdtype(array.dtype, np.floating) else INLINE_INDEX):
            proto.raw_data = data
            return proto
        proto.data_location = TensorProto.EXTERNAL
        entries = {"location": self.name, "offset": str(self._offset(data)), "length": str(len(data))}
        proto.external_data.extend(StringStringEntryProto(key=key, value=value) for key, value in entries.items())
        return proto

    def _offset(self, data: bytes) -> int:
        digest = hashlib.sha256(data).digest()
        if digest not in self._offsets:
            padding = -self._end % ALIGNMENT
            self._chunks += [bytes(padding), data]
            self._offsets[digest] = self._end + padding
            self._end += padding + len(data)
        return self._offsets[digest]
