"""torch: runs the ONNX segments of a bundle on a GPU, or on the processor.

Nothing is unpickled or evaluated: a segment's nodes choose from a closed table of operators (`torch_ops.catalog`). On a
processor ONNX Runtime is faster; this is for edges with a GPU, and a bundle needs nothing more for it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import SegmentSpec, TensorSpec
from offramp.bundle.store import Bundle
from offramp.errors import BundleError, MissingExtraError, SettingsError
from offramp.records import Array, Feature
from offramp.runtime.opening import CAPACITY, SegmentKeeper, check_ends, zeros
from offramp.runtime.runtime import SegmentOutputs
from offramp.runtime.torch_ops.program import Program, translate
from offramp.runtime.torch_ops.weights import Weights

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto


def configure_torch_threads(threads: int) -> None:
    """How many threads a model call takes on the processor; 0 leaves torch its choice, one per physical core.

    Raises:
        MissingExtraError: torch is not installed.
    """
    _require_torch()
    import torch

    if threads:
        torch.set_num_threads(threads)


class TorchSegment:
    """An opened segment."""

    def __init__(self, spec: SegmentSpec, manifest: Manifest, program: Program, torch_device: "torch.device") -> None:
        import torch

        self.spec = spec
        self._torch = torch
        self._torch_device = torch_device
        self._program = program
        self._weight_places = {_place(weight) for weight in program.weights}
        self._expected = [(tensor.shape, np.dtype(tensor.dtype)) for tensor in manifest.given_to(spec)]
        self._features = len(manifest.left_by(spec))
        self._answers = spec.branch or spec.stop == manifest.end

    def run(self, feature: Feature) -> SegmentOutputs:
        """Safe from several threads at once; the arrays that come back belong to the caller.

        Raises:
            ValueError: The feature is not one of this cut.
        """
        # Operators broadcast: another shape could go through, and be silently wrong.
        if [(array.shape[1:], array.dtype) for array in feature] != self._expected:
            found = ", ".join(f"{array.dtype}{list(array.shape)}" for array in feature)
            raise ValueError(f"{found} is nothing that {self.spec.file} takes, whose rows are {self._expected}")
        with self._torch.inference_mode():
            given = [self._torch.from_numpy(_usable(array)).to(self._torch_device) for array in feature]
            values = self._own(self._program.run(given), given)
        if not self._answers:
            return SegmentOutputs(tuple(values))
        features = self._features
        return SegmentOutputs(tuple(values[:features]), values[features], values[features + 1])

    def _own(self, results: "Sequence[torch.Tensor]", given: "Sequence[torch.Tensor]") -> list[Array]:
        """The results as arrays that share memory with nothing, each other included."""
        taken = {_place(tensor) for tensor in given}
        arrays = []
        for result in results:
            tensor = result.contiguous()
            place = _place(tensor)
            if place in taken or place in self._weight_places:
                tensor = tensor.clone()
            taken.add(place)
            arrays.append(tensor.cpu().numpy())
        return arrays


class TorchRuntime(SegmentKeeper[TorchSegment]):
    """The segments of one bundle as programs of torch functions; weights are shared between them.

    On a GPU, full float32 everywhere: TF32, which torch allows in convolutions, would differ from a device's answers
    in the third digit. That is a switch of the whole process.

    Raises:
        MissingExtraError: torch or onnx is not installed.
        SettingsError: torch has no such device here.
    """

    def __init__(self, bundle: Bundle, *, torch_device: str = "cpu", capacity: int = CAPACITY) -> None:
        super().__init__(bundle, capacity=capacity)
        _require_torch()
        self._torch_device = _find_device(torch_device)
        self._weights = Weights(bundle, self._torch_device)

    def _load(self, spec: SegmentSpec) -> TorchSegment:
        bundle, manifest = self._bundle, self._bundle.manifest
        path = bundle.file(spec.file)
        try:
            import onnx

            model = onnx.load(path, load_external_data=False)
            inputs = [value.name for value in model.graph.input]
            check_ends(spec, manifest, inputs, [value.name for value in model.graph.output])
            _check_shapes(model, spec, manifest.given_to(spec))
            program = translate(model, spec.file, self._weights, self._torch_device)
            segment = TorchSegment(spec, manifest, program, self._torch_device)
            segment.run(zeros(manifest.given_to(spec)))
        except BundleError:
            raise
        except Exception as error:  # those of protobuf, numpy and torch share no other parent
            reason = str(error).strip().partition("\n")[0]
            raise BundleError(f"{path} cannot be loaded: {reason}; fetch or build the bundle again") from error
        return segment


def _require_torch() -> None:
    try:
        import onnx  # noqa: F401 - both are needed, and missing ones are named together
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("torch and onnx", "torch", "--runtime torch") from error


def _find_device(name: str) -> "torch.device":
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"torch_device {name!r} is none that torch knows; give cpu, cuda or cuda:1") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise SettingsError(f"torch_device {name!r} is neither cpu nor cuda; give one of them, or cuda:1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise SettingsError(
            f"torch_device {name!r} is not there: torch {torch.__version__} sees {count} GPUs; "
            "give cpu, or install the torch that fits the driver"
        )
    backends: Any = torch.backends
    for operations in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul):
        operations.fp32_precision = "ieee"
    return device


def _check_shapes(model: "ModelProto", spec: SegmentSpec, tensors: Sequence[TensorSpec]) -> None:
    for value, tensor in zip(model.graph.input, tensors, strict=True):
        found = tuple(size.dim_value for size in value.type.tensor_type.shape.dim)[1:]
        if found != tensor.shape:
            raise BundleError(
                f"{spec.file} takes {value.name} of shape {found} instead of {tensor.shape}; build the bundle again"
            )


def _place(tensor: "torch.Tensor") -> int:
    """The address of its memory, the same for all views of it."""
    return tensor.untyped_storage().data_ptr()


def _usable(array: Array) -> Array:
    """torch takes no read-only arrays, which decoded payloads may be, and no negative strides."""
    return array if array.flags.writeable and array.flags.c_contiguous else array.copy(order="C")
