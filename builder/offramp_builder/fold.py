"""Rewriting a piece of a network for the runtime: the same answers from fewer and faster operations.

Batch normalisation after a convolution or a linear layer goes into its weights. ONNX Runtime would do so at load, but
into a private copy of the weights for each open segment, where folded ones are read from one shared file.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

_aten = torch.ops.aten
_BATCH_NORM = _aten.batch_norm.default
# Operations whose output channels are the first dimension of their weight: (input, weight, bias, …)
_LINEAR = (
    _aten.conv1d.default,
    _aten.conv2d.default,
    _aten.conv3d.default,
    _aten.conv1d.padding,
    _aten.conv2d.padding,
    _aten.conv3d.padding,
    _aten.convolution.default,
    _aten.linear.default,
)
_ATTENTION = _aten.scaled_dot_product_attention.default
_GLOBAL_POOLS: dict[Any, tuple[int, ...]] = {
    _aten.adaptive_avg_pool1d.default: (-1,),
    _aten.adaptive_avg_pool2d.default: (-2, -1),
    _aten.adaptive_avg_pool3d.default: (-3, -2, -1),
}


def rewrite_for_runtime(piece: GraphModule) -> GraphModule:
    """Fold batch normalisation and write global pooling as a mean, in place; the parameters are left alone."""
    constant = _reader(piece)
    for node in list(piece.graph.nodes):
        if node.target is _BATCH_NORM:
            _fold(piece, node, constant)
        elif node.target in _GLOBAL_POOLS:
            _as_mean(piece, node)
        elif node.target is _ATTENTION and len(node.args) == 3 and not set(node.kwargs) - {"scale"}:
            _spell_out_attention(piece, node)
    piece.graph.eliminate_dead_code()
    piece.delete_all_unused_submodules()
    piece.recompile()
    return piece


def _fold(piece: GraphModule, norm: Node, constant: Callable[[Any], Tensor | None]) -> None:
    """`norm(w · x + b)` becomes `w' · x + b'`: w' = s · w and b' = s · (b - mean) + shift, s = gain / sqrt(var + ε)."""
    arguments: tuple[Any, ...] = norm.args
    source, gain, shift, mean, var, _training, _momentum, epsilon, *_ = arguments
    assert isinstance(source, Node)
    if source.target not in _LINEAR or len(source.users) != 1 or _is_transposed(source):
        return
    weight, bias = constant(source.args[1]), constant(source.args[2]) if len(source.args) > 2 else None
    mean_C, var_C = constant(mean), constant(var)
    if weight is None or mean_C is None or var_C is None:
        return
    if source.target is _aten.linear.default and source.meta["val"].ndim != 2:
        return  # batch_norm counts channels in dimension 1, a linear layer in the last
    gain_C, shift_C = constant(gain), constant(shift)
    one = torch.ones_like(mean_C)
    scale_C = (one if gain_C is None else gain_C).double() / (var_C.double() + epsilon).sqrt()
    folded = weight.double() * scale_C.reshape(-1, *[1] * (weight.ndim - 1))
    start_C = (0 * one if bias is None else bias).double() - mean_C.double()
    folded_bias = start_C * scale_C + (0 * one if shift_C is None else shift_C).double()
    with piece.graph.inserting_before(source):
        parameters = tuple(
            _add_constant(piece, f"folded_{norm.name}_{part}", value.to(weight.dtype))
            for part, value in (("weight", folded), ("bias", folded_bias))
        )
    source.args = (source.args[0], *parameters, *source.args[3:])
    norm.replace_all_uses_with(source)


def _is_transposed(node: Node) -> bool:
    return node.target is _aten.convolution.default and bool(node.args[6])


def _as_mean(piece: GraphModule, pool: Node) -> None:
    """Pooling to one value exports as tables of indices; a mean is one operation."""
    arguments: tuple[Any, ...] = pool.args
    source, size = arguments
    dimensions = _GLOBAL_POOLS[pool.target]
    if list(size) != [1] * len(dimensions):
        return
    with piece.graph.inserting_before(pool):
        mean = piece.graph.call_function(_aten.mean.dim, (source, list(dimensions), True))
    mean.meta = dict(pool.meta)
    pool.replace_all_uses_with(mean)


def _spell_out_attention(piece: GraphModule, attention: Node) -> None:
    """softmax(scale · Q Kᵀ) V as four operations: its own export reads the shapes of K at each run."""
    query, key, value = attention.args
    assert isinstance(query, Node)
    scale = attention.kwargs.get("scale") or query.meta["val"].shape[-1] ** -0.5
    graph = piece.graph
    with graph.inserting_before(attention):
        scaled = graph.call_function(_aten.mul.Tensor, (query, scale))
        turned = graph.call_function(_aten.transpose.int, (key, -2, -1))
        likeness = graph.call_function(_aten.matmul.default, (scaled, turned))
        weights = graph.call_function(_aten.softmax.int, (likeness, -1))
        result = graph.call_function(_aten.matmul.default, (weights, value))
    result.meta = dict(attention.meta)
    attention.replace_all_uses_with(result)


def _reader(piece: GraphModule) -> Callable[[Any], Tensor | None]:
    def constant(argument: Any) -> Tensor | None:
        """The tensor that an argument always is; None when it is computed, or absent."""
        if not isinstance(argument, Node) or argument.op != "get_attr":
            return None
        value: Any = piece
        for part in str(argument.target).split("."):
            value = getattr(value, part)
        return value.detach() if isinstance(value, Tensor) else None

    return constant


def _add_constant(piece: GraphModule, name: str, value: Tensor) -> Node:
    piece.register_buffer(name, value)
    node = piece.graph.get_attr(name)
    node.meta["val"] = value
    return node
