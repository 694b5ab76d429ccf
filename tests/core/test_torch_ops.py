"""Each operator of the torch runtime computes what ONNX Runtime's does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.runtime.threads import ensure_threads
from offramp.runtime.torch_ops.catalog import operators
from offramp.runtime.torch_ops.program import translate
from offramp.runtime.torch_ops.weights import Weights

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(floats(*shape)) + 0.1


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def bools(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """One node: arrays that are computed, then weights (None for an absent input), and its attributes."""

    kind: str
    inputs: tuple[np.ndarray, ...] = ()
    weights: tuple[np.ndarray | None, ...] = ()
    outputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ",".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.kind}({told})" if told else self.kind


def case(
    kind: str, *inputs: np.ndarray, weights: Sequence[np.ndarray | None] = (), outputs: int = 1, **attributes: Any
) -> Case:
    return Case(kind, inputs, tuple(weights), outputs, attributes)


def recurrent(kind: str, gates: int, direction: str, *, bias: bool = True, states: int = 0, **attributes: Any) -> Case:
    """8 steps of 3 rows of 4 inputs; 5 hidden units."""
    both = 2 if direction == "bidirectional" else 1
    weights: list[np.ndarray | None] = [floats(both, 5 * gates, 4), floats(both, 5 * gates, 5)]
    weights += [floats(both, 10 * gates) if bias else None, None, *(floats(both, 3, 5) for _ in range(states))]
    outputs = 3 if kind == "LSTM" else 2
    return case(
        kind, floats(8, 3, 4), weights=weights, outputs=outputs, direction=direction, hidden_size=5, **attributes
    )


X = floats(3, 4, 6, 5)
ALIKE = [
    *(case(kind, X) for kind in ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish")),
    *(case(kind, X) for kind in ("Identity", "LeakyRelu", "Elu", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sin")),
    *(case(kind, X) for kind in ("Softplus", "Tanh", "GlobalAveragePool", "GlobalMaxPool", "Dropout", "Transpose")),
    *(case(kind, positive(3, 4)) for kind in ("Log", "Reciprocal", "Sqrt")),
    *(case(kind, floats(3, 4), floats(4)) for kind in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Sum", "PRelu")),
    *(case(kind, floats(2), floats(2), floats(2)) for kind in ("Max", "Min", "Sum")),
    *(case(kind, ints(1, 2, 3), ints(1, 3, 2)) for kind in ("Equal", "Greater", "GreaterOrEqual")),
    *(case(kind, ints(1, 2, 3), ints(1, 3, 2)) for kind in ("Less", "LessOrEqual")),
    *(case(kind, bools(9), bools(9)) for kind in ("And", "Or")),
    case("Not", bools(9)),
    case("Where", bools(3, 4), floats(3, 4), floats(4)),
    case("Div", ints(7, -7, 8), ints(2, 2, 3)),
    case("Pow", positive(3, 4), weights=[np.float32(2.5)]),
    case("Pow", ints(2, 3), weights=[np.float32(2)]),
    case("Gelu", X, approximate="tanh"),
    case("LeakyRelu", X, alpha=0.3),
    case("Elu", X, alpha=0.3),
    case("HardSigmoid", X, alpha=0.3, beta=0.4),
    *(case("Cast", 9 * X, to=to) for to in (onnx.TensorProto.INT64, onnx.TensorProto.FLOAT16, onnx.TensorProto.BOOL)),
    case("Cast", np.arange(9, dtype=np.uint8), to=onnx.TensorProto.FLOAT),
    case("Clip", X),
    case("Clip", X, weights=[np.float32(-0.5)]),
    case("Clip", X, weights=[None, np.float32(0.5)]),
    case("Clip", X, np.array(-0.5, np.float32), np.array(0.5, np.float32)),
    *(case(kind, X, axis=axis) for kind in ("Softmax", "LogSoftmax") for axis in (-1, 1)),
    case("MatMul", floats(2, 3, 4), weights=[floats(4, 5)]),
    case("Gemm", floats(3, 4), weights=[floats(5, 4), floats(5)], transB=1),
    case("Gemm", floats(3, 4), weights=[floats(5, 4)], transB=1),
    case("Gemm", floats(3, 4), weights=[floats(4, 5), floats(3, 1)], alpha=0.5, beta=2.0),
    case("Gemm", floats(4, 3), weights=[floats(5, 4), floats(5)], transA=1, transB=1),
    # shapes
    case("Reshape", X, weights=[ints(0, -1, 5)]),
    case("Reshape", X, ints(3, -1)),
    case("Reshape", floats(0, 4), weights=[ints(2, 0)], allowzero=1),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    *(case("Flatten", X, axis=axis) for axis in (0, 1, 2, -1)),
    case("Squeeze", floats(3, 1, 4, 1)),
    case("Squeeze", floats(3, 1, 4, 1), weights=[ints(-1)]),
    case("Unsqueeze", floats(3, 4), weights=[ints(-1, 0)]),
    case("Expand", floats(3, 1), weights=[ints(2, 1, 4)]),
    case("Tile", floats(3, 2), weights=[ints(2, 3)]),
    case("Concat", floats(3, 1), floats(3, 2), axis=-1),
    case("Split", floats(3, 7), outputs=3, axis=1, num_outputs=3),
    case("Split", floats(7, 3), weights=[ints(2, 5)], outputs=2),
    case("Split", floats(7, 3), weights=[ints(7)]),
    case("Slice", X, weights=[ints(1), ints(2**62), ints(2)]),
    case("Slice", X, weights=[ints(0, -3), ints(2, -1)]),
    case("Slice", X, weights=[ints(-1, 0), ints(-(2**62), 5), ints(2, 3), ints(-2, 3)]),
    case("Gather", X, weights=[ints(2, -1, 0)], axis=2),
    case("Gather", X, weights=[np.array(-1)], axis=1),
    case("Gather", X, weights=[np.array([[0, 1], [2, 0]])]),
    case("Gather", X, ints(1, 1), axis=-1),
    *(
        case("ScatterElements", floats(3, 4), weights=[np.array([[0, -1, 2, 1]]), floats(1, 4)], reduction=reduction)
        for reduction in ("none", "add", "mul", "max", "min")
    ),
    case("Pad", X, weights=[ints(0, 0, 1, 2, 0, 0, 3, 0), np.float32(0.5)]),
    case("Pad", X, weights=[ints(1, 2), None, ints(2)]),
    case("Pad", X, weights=[ints(0, 0, 1, 2, 0, 0, 3, 4)], mode="reflect"),
    case("Pad", floats(3, 9), weights=[ints(0, 4, 0, 4)], mode="reflect"),
    case("Pad", floats(9), weights=[ints(4, 4)], mode="edge"),
    case("Pad", X, weights=[ints(0, 0, 0, 0, 0, 0, 0, 0)], mode="edge"),
    case("TopK", floats(3, 9), weights=[ints(2)], outputs=2),
    case("TopK", floats(9, 3), weights=[ints(4)], outputs=2, axis=0, largest=0),
    case("Shape", X),
    case("Shape", X, start=1, end=-1),
    case("ConstantOfShape", ints(2, 3)),
    case("ConstantOfShape", ints(2, 3), value=numpy_helper.from_array(ints(7))),
    case("Range", np.array(1), np.array(9), np.array(2)),
    *(case(kind, X) for kind in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")),
    *(case(kind, X, weights=[ints(-1, 1)], keepdims=0) for kind in ("ReduceMax", "ReduceMean", "ReduceMin")),
    case("ReduceSum", X, weights=[ints()], noop_with_empty_axes=1),
    case("ReduceMean", X, weights=[ints()], keepdims=0),
    # layers
    case("Conv", floats(2, 4, 9), weights=[floats(6, 4, 3), floats(6)], strides=[2], pads=[1, 1]),
    case("Conv", X, weights=[floats(8, 1, 3, 3)], group=4, pads=[1, 0, 2, 1]),
    case("Conv", X, weights=[floats(8, 4, 3, 2)], dilations=[2, 1], auto_pad="VALID"),
    case("Conv", floats(2, 2, 4, 4, 4), weights=[floats(3, 2, 3, 3, 3), floats(3)]),
    case("ConvTranspose", floats(2, 4, 9), weights=[floats(4, 6, 2), floats(6)], strides=[2]),
    case("ConvTranspose", X, weights=[floats(4, 2, 3, 3)], group=4, pads=[1, 0, 1, 0], strides=[2, 1]),
    case("ConvTranspose", X, weights=[floats(4, 3, 3, 2)], strides=[3, 2], output_padding=[1, 1], dilations=[1, 2]),
    case("AveragePool", X, kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 1, 1]),
    case("AveragePool", X, kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1),
    case("AveragePool", floats(2, 3, 9), kernel_shape=[2], strides=[2], ceil_mode=1),
    case("MaxPool", X, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", X, kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    case("MaxPool", floats(2, 3, 9), kernel_shape=[3], strides=[3], dilations=[2], ceil_mode=1),
    case("BatchNormalization", X, weights=[floats(4), floats(4), floats(4), positive(4)], epsilon=1e-3),
    case("InstanceNormalization", X, weights=[floats(4), floats(4)], epsilon=1e-3),
    case("LayerNormalization", X, weights=[floats(5), floats(5)]),
    case("LayerNormalization", X, weights=[floats(6, 5)], axis=2, epsilon=1e-3),
    case("STFT", floats(2, 64, 1), weights=[np.array(8), positive(16), np.array(16)]),
    case("STFT", floats(2, 64, 1), weights=[np.array(8), None, np.array(16)], onesided=0),
    # recurrent layers
    *(
        recurrent(kind, gates, direction, states=states, **attributes)
        for kind, gates, states, attributes in (
            ("GRU", 3, 1, {"linear_before_reset": 1}),
            ("LSTM", 4, 2, {}),
            ("RNN", 1, 1, {}),
        )
        for direction in ("forward", "reverse", "bidirectional")
    ),
    recurrent("LSTM", 4, "forward", bias=False),
]

REFUSED = [
    (recurrent("GRU", 3, "forward"), "GRU with linear_before_reset=0"),
    (recurrent("RNN", 1, "forward", activations=["Relu"]), "RNN with activations"),
    (case("Conv", X, weights=[floats(8, 4, 3, 3)], auto_pad="SAME_UPPER"), "Conv with auto_pad=SAME_UPPER"),
    (case("Conv", X, floats(8, 4, 3, 3)), "Conv with a computed input 1"),
    (case("ConvTranspose", X, weights=[floats(4, 8, 3, 3)], pads=[1, 0, 0, 0]), "ConvTranspose with pads="),
    (case("ConvTranspose", X, weights=[floats(4, 8, 3, 3)], output_shape=[9, 9]), "ConvTranspose with output_shape="),
    (case("AveragePool", X, kernel_shape=[2, 2], pads=[0, 0, 1, 1]), "AveragePool with pads"),
    (case("MaxPool", X, kernel_shape=[2, 2], outputs=2), "MaxPool with 2 outputs"),
]


def model_of(given: Case, opset: int = 20) -> onnx.ModelProto:
    names = [f"x{index}" for index in range(len(given.inputs))]
    weights = {f"w{index}": weight for index, weight in enumerate(given.weights) if weight is not None}
    behind = [f"w{index}" if weight is not None else "" for index, weight in enumerate(given.weights)]
    outputs = [f"y{index}" for index in range(given.outputs)]
    graph = helper.make_graph(
        [helper.make_node(given.kind, names + behind, outputs, **given.attributes)],
        given.kind,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, given.inputs, strict=True)
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(weight), name) for name, weight in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def with_torch(model: onnx.ModelProto, inputs: Sequence[np.ndarray], bundle: Bundle) -> list[np.ndarray]:
    torch_device = torch.device("cpu")
    program = translate(model, "case.onnx", Weights(bundle, torch_device), torch_device)
    with torch.inference_mode():
        return [tensor.numpy() for tensor in program.run([torch.from_numpy(np.asarray(array)) for array in inputs])]


def with_onnx_runtime(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    ensure_threads()  # once some other test has made the process's pool, a session has to take its threads from it
    options = onnxruntime.SessionOptions()
    options.use_per_session_threads = False
    session = onnxruntime.InferenceSession(onnx.shape_inference.infer_shapes(model).SerializeToString(), options)
    found: list[np.ndarray] = session.run(None, {f"x{index}": array for index, array in enumerate(inputs)})
    return found


@pytest.mark.parametrize("given", ALIKE, ids=str)
def test_an_operator_computes_what_onnx_runtime_computes(given: Case, tiny_bundle: Bundle) -> None:
    model = model_of(given)
    found, expected = with_torch(model, given.inputs, tiny_bundle), with_onnx_runtime(model, given.inputs)
    assert [(one.shape, one.dtype) for one in found] == [(one.shape, one.dtype) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_every_operator_has_a_case() -> None:
    assert {given.kind for given in ALIKE} == set(operators())


@pytest.mark.parametrize(("given", "says"), REFUSED, ids=str)
def test_a_form_that_torch_would_not_follow_is_refused(given: Case, says: str, tiny_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=f"the torch runtime has no {says}.*; use --runtime onnx"):
        with_torch(model_of(given), given.inputs, tiny_bundle)
