"""The weights of a bundle as tensors: each is in memory once, however many open segments use it."""

import threading
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.errors import BundleError

if TYPE_CHECKING:
    import torch
    from onnx import TensorProto

_AGAIN = "fetch or build the bundle again"

Place = tuple[str, int, int]
"""File, offset, length."""


class Weights:
    """Reads initialisers; one per runtime. Safe from several threads."""

    def __init__(self, bundle: Bundle, torch_device: "torch.device") -> None:
        self._bundle = bundle
        self._torch_device = torch_device
        self._lock = threading.Lock()
        # Weak: a weight leaves with the last segment that uses it.
        self._tensors: WeakValueDictionary[tuple[Place, int, tuple[int, ...]], torch.Tensor] = WeakValueDictionary()

    def array(self, weight: "TensorProto", beside: str) -> NDArray[Any]:
        """An initialiser of the graph in the file `beside`, as an array of its own.

        Raises:
            BundleError: It points outside the bundle, or at something of another size.
        """
        from onnx import numpy_helper
        from onnx.helper import tensor_dtype_to_np_dtype

        if weight.data_location != weight.EXTERNAL:
            return np.array(numpy_helper.to_array(weight))
        name, offset, length = self._place(weight, beside)
        shape, dtype = tuple(weight.dims), tensor_dtype_to_np_dtype(weight.data_type)
        expected = prod(shape) * dtype.itemsize
        if length != expected:
            raise BundleError(f"weight {weight.name} of {beside} has {length} bytes instead of {expected}; {_AGAIN}")
        flat = np.fromfile(self._bundle.file(name), dtype, prod(shape), offset=offset)
        if flat.size != prod(shape):
            raise BundleError(f"{name} ends before weight {weight.name} of {beside}; {_AGAIN}")
        return flat.reshape(shape)

    def tensor(self, weight: "TensorProto", beside: str) -> "torch.Tensor":
        """The same on the torch device, shared by all who ask for what lies in the same place."""
        import torch

        if weight.data_location != weight.EXTERNAL:
            return torch.from_numpy(self.array(weight, beside)).to(self._torch_device)
        key = (self._place(weight, beside), weight.data_type, tuple(weight.dims))
        with self._lock:
            tensor = self._tensors.get(key)
            if tensor is None:
                tensor = torch.from_numpy(self.array(weight, beside)).to(self._torch_device)
                self._tensors[key] = tensor
            return tensor

    def _place(self, weight: "TensorProto", beside: str) -> Place:
        said = {entry.key: entry.value for entry in weight.external_data}
        place = PurePosixPath(beside).parent / said.get("location", "")
        # Only what the manifest lists: those files have digests, and lie inside the bundle.
        if str(place) not in self._bundle.manifest.files:
            raise BundleError(
                f"weight {weight.name} of {beside} lies in {place}, which the manifest does not list; {_AGAIN}"
            )
        size = Path(self._bundle.file(str(place))).stat().st_size
        offset = int(said.get("offset", 0))
        return str(place), offset, int(said.get("length", size - offset))
