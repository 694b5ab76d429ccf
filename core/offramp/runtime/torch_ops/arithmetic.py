"""Operators that work number by number, and products."""

from typing import Any

from offramp.runtime.torch_ops.operator import Function, Node, Operator, always


def arithmetic() -> dict[str, Operator]:
    """By name. Needs torch."""
    from functools import reduce

    import torch
    from torch import Tensor
    from torch.nn import functional as F  # noqa: N812 - torch's own name for it

    def divide(a: Tensor, b: Tensor) -> Tensor:
        # Whole numbers stay whole in ONNX.
        return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")

    def power(base: Tensor, exponent: Tensor) -> Tensor:
        return torch.pow(base, exponent).to(base.dtype)

    def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
        return x if low is None and high is None else torch.clamp(x, low, high)

    def of_all(function: Function) -> Operator:
        return always(lambda first, *others: reduce(function, others, first))

    def cast(node: Node) -> Function:
        dtype = dtypes()[node.attribute("to")]
        return lambda x: x.to(dtype)

    def gelu(node: Node) -> Function:
        approximate = node.attribute("approximate", "none")
        return lambda x: F.gelu(x, approximate=approximate)

    def leaky_relu(node: Node) -> Function:
        slope = node.attribute("alpha", 0.01)
        return lambda x: F.leaky_relu(x, slope)

    def elu(node: Node) -> Function:
        alpha = node.attribute("alpha", 1.0)
        return lambda x: F.elu(x, alpha)

    def hard_sigmoid(node: Node) -> Function:
        alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
        return lambda x: torch.clamp(x * alpha + beta, 0, 1)

    def softmax(node: Node) -> Function:
        axis = node.attribute("axis", -1)
        return lambda x: torch.softmax(x, axis)

    def log_softmax(node: Node) -> Function:
        axis = node.attribute("axis", -1)
        return lambda x: torch.log_softmax(x, axis)

    def gemm(node: Node) -> Function:
        alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
        turn_a, turn_b = node.attribute("transA", 0), node.attribute("transB", 0)

        def general(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
            a, b = (a.T if turn_a else a), (b.T if turn_b else b)
            return alpha * (a @ b) if c is None else torch.addmm(c, a, b, beta=beta, alpha=alpha)

        def linear(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
            return F.linear(a, b, c)

        bias = node.shapes.get(2, ())  # a linear layer's is a vector; Gemm's C may be anything that broadcasts
        plain = alpha == 1 and not turn_a and turn_b and (node.inputs < 3 or beta == 1)
        return linear if plain and (node.inputs < 3 or len(bias) == 1) else general

    def dropout(node: Node) -> Function:
        node.only_first_output()
        return lambda x, *_: x

    same: Function = lambda x: x  # noqa: E731 - one of many in the table
    return {
        "Abs": always(torch.abs),
        "Add": always(torch.add),
        "And": always(torch.logical_and),
        "Cast": Operator(build=cast),
        "Ceil": always(torch.ceil),
        "Clip": always(clip, host=(1, 2)),
        "Cos": always(torch.cos),
        "Div": always(divide),
        "Dropout": Operator(build=dropout),
        "Elu": Operator(build=elu),
        "Equal": always(torch.eq),
        "Erf": always(torch.erf),
        "Exp": always(torch.exp),
        "Floor": always(torch.floor),
        "Gelu": Operator(build=gelu),
        "Gemm": Operator(build=gemm),
        "Greater": always(torch.gt),
        "GreaterOrEqual": always(torch.ge),
        "HardSigmoid": Operator(build=hard_sigmoid),
        "HardSwish": always(F.hardswish),
        "Identity": always(same),
        "LeakyRelu": Operator(build=leaky_relu),
        "Less": always(torch.lt),
        "LessOrEqual": always(torch.le),
        "Log": always(torch.log),
        "LogSoftmax": Operator(build=log_softmax),
        "MatMul": always(torch.matmul),
        "Max": of_all(torch.maximum),
        "Min": of_all(torch.minimum),
        "Mish": always(F.mish),
        "Mul": always(torch.mul),
        "Neg": always(torch.neg),
        "Not": always(torch.logical_not),
        "Or": always(torch.logical_or),
        "Pow": always(power),
        "PRelu": always(lambda x, slope: torch.where(x < 0, x * slope, x)),
        "Reciprocal": always(torch.reciprocal),
        "Relu": always(torch.relu),
        "Round": always(torch.round),
        "Sigmoid": always(torch.sigmoid),
        "Sin": always(torch.sin),
        "Softmax": Operator(build=softmax),
        "Softplus": always(F.softplus),
        "Sqrt": always(torch.sqrt),
        "Sub": always(torch.sub),
        "Sum": of_all(torch.add),
        "Tanh": always(torch.tanh),
        "Where": always(torch.where),
    }


def dtypes() -> dict[int, Any]:
    """torch's dtypes by ONNX's numbers (TensorProto.DataType). Needs torch and onnx."""
    import torch
    from onnx import TensorProto

    return {
        TensorProto.FLOAT: torch.float32,
        TensorProto.DOUBLE: torch.float64,
        TensorProto.FLOAT16: torch.float16,
        TensorProto.BFLOAT16: torch.bfloat16,
        TensorProto.UINT8: torch.uint8,
        TensorProto.INT8: torch.int8,
        TensorProto.INT16: torch.int16,
        TensorProto.INT32: torch.int32,
        TensorProto.INT64: torch.int64,
        TensorProto.BOOL: torch.bool,
    }
