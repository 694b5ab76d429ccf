"""Rounding weights so that their errors cancel, instead of each to its nearest level.

    what a layer reads, on calibration samples ─► H, how its inputs go together ─┐
    weights ─► round one input's ─► spread the error over those still to come ───┴─► …

That is Frantar and others, GPTQ (ICLR 2023): the next weights take up what the rounded ones lost, as far as their
inputs move together. With 7 bits a weight it is what brings small networks to one label in a hundred of float32.

# P places that a layer computes, G groups, O outputs of one, I inputs of one with all its taps
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto
from onnx.helper import get_attribute_value
from onnx.numpy_helper import from_array, to_array

from offramp.records import Array
from offramp_builder.int8.ranges import shared_session
from offramp_builder.int8.whole import Whole, only_logits

Floats = NDArray[np.float64]

_BATCH = 16
_PLACES = 64
"""Of each sample that a layer's inputs are looked at; they resemble each other."""
_DAMPING = 0.01
"""Of the mean of H's diagonal: what was hardly ever seen is not to take up errors without limit."""
_WIDEST = 2_500
"""Inputs of a layer up to which it pays: H has their square, and a wide layer's errors average out by themselves."""


def together(whole: Whole, names: Sequence[str], samples: Array) -> dict[str, Floats]:
    """H of each named operation: [G, I, I] sums of products of its inputs over samples [N, *shape]."""
    model = only_logits(whole)
    weights = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.name in names and _inputs(node, weights) <= _WIDEST]
    values = {value.name for value in model.graph.output} | {whole.features[0][0]}
    for name in dict.fromkeys(node.input[0] for node in nodes):
        if name not in values:
            model.graph.output.add().name = name
    session = shared_session(model.SerializeToString())
    outputs = [value.name for value in session.get_outputs()]
    rng = np.random.default_rng(0)
    found: dict[str, Floats] = {}
    for first in range(0, len(samples), _BATCH):
        batch = samples[first : first + _BATCH]
        seen = dict(zip(outputs, session.run(outputs, {whole.features[0][0]: batch}), strict=True))
        for node in nodes:
            rows_GPI = _rows(node, seen[node.input[0]], weights[node.input[1]], rng).astype(np.float64)
            found[node.name] = found.get(node.name, 0.0) + rows_GPI.transpose(0, 2, 1) @ rows_GPI
    return found


def rounded_together(quantised: ModelProto, whole: Whole, seen: Mapping[str, Floats]) -> None:
    """Change which levels the weights of a quantised network have, in place; `seen` is what `together` found."""
    constants = {weight.name: weight for weight in quantised.graph.initializer}
    floats = {weight.name: weight for weight in whole.model.graph.initializer}
    for node in whole.model.graph.node:
        weight = node.input[1] if node.name in seen else ""
        levels, scales = constants.get(f"{weight}_quantized"), constants.get(f"{weight}_scale")
        if levels is None or scales is None:
            continue
        before, scale = to_array(levels), to_array(scales).astype(np.float64).reshape(-1)
        groups, turned = len(seen[node.name]), _turned(node)
        weight_OI = to_array(floats[weight]).astype(np.float64)
        weight_OI = (weight_OI.T if turned else weight_OI).reshape(before.shape[1 if turned else 0], -1)
        weight_GOI = weight_OI.reshape(groups, -1, weight_OI.shape[1])
        scale_GO = np.broadcast_to(scale, len(weight_OI)).reshape(groups, -1)
        levels_OI = _round(weight_GOI, scale_GO, seen[node.name]).reshape(weight_OI.shape)
        after = (levels_OI.T if turned else levels_OI).reshape(before.shape).astype(before.dtype)
        levels.CopyFrom(from_array(np.ascontiguousarray(after), levels.name))


def _round(weight_GOI: Floats, scale_GO: Floats, seen_GII: Floats) -> Floats:
    """Levels, one input after the other."""
    inputs = weight_GOI.shape[2]
    damping_G = _DAMPING * np.trace(seen_GII, axis1=1, axis2=2) / inputs
    seen_GII = seen_GII + np.maximum(damping_G, np.finfo(np.float64).tiny)[:, None, None] * np.eye(inputs)
    # U'U is the inverse of H: its row i says how the inputs from i on make up for an error at i.
    spread_GII = np.linalg.cholesky(np.linalg.inv(seen_GII)).transpose(0, 2, 1)
    left_GOI, levels_GOI = weight_GOI.copy(), np.empty_like(weight_GOI)
    for place in range(inputs):
        levels_GOI[..., place] = np.clip(np.rint(left_GOI[..., place] / scale_GO), -64, 63)
        error_GO = left_GOI[..., place] - levels_GOI[..., place] * scale_GO
        error_GO /= spread_GII[:, None, place, place]
        left_GOI[..., place:] -= error_GO[..., None] * spread_GII[:, None, place, place:]
    return levels_GOI


def _rows(node: NodeProto, value: Array, shape: Sequence[int], rng: np.random.Generator) -> Array:
    """[G, P, I] what a layer reads at some places of each sample."""
    if node.op_type != "Conv":
        return value.reshape(1, -1, value.shape[-1])
    groups, strides, dilations, pads = _layout(node, len(shape) - 2)
    kernel, spatial = shape[2:], value.shape[2:]
    value = np.pad(value, [(0, 0), (0, 0), *pads])
    reach = [dilation * (size - 1) + 1 for dilation, size in zip(dilations, kernel, strict=True)]
    sizes = [
        (size + sum(pad) - span) // stride + 1
        for size, pad, span, stride in zip(spatial, pads, reach, strides, strict=True)
    ]
    count = len(value) * min(_PLACES, prod(sizes))
    sample_P = np.repeat(np.arange(len(value)), count // len(value))
    index: list[Array] = [_along(sample_P, 0, 2 + len(sizes)), _along(np.arange(value.shape[1]), 1, 2 + len(sizes))]
    for axis, (size, stride, dilation, taps) in enumerate(zip(sizes, strides, dilations, kernel, strict=True)):
        start_P = rng.integers(0, size, count) * stride
        index.append(_along(start_P, 0, 2 + len(sizes)) + _along(dilation * np.arange(taps), 2 + axis, 2 + len(sizes)))
    rows_PI = value[tuple(index)].reshape(count, -1)
    return rows_PI.reshape(count, groups, -1).transpose(1, 0, 2)


def _along(values: Array, axis: int, dimensions: int) -> Array:
    return values.reshape([-1 if one == axis else 1 for one in range(dimensions)])


def _layout(node: NodeProto, dimensions: int) -> tuple[int, list[int], list[int], list[tuple[int, int]]]:
    """Groups, strides, dilations and padding of a convolution."""
    given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    ones, pads = [1] * dimensions, given.get("pads", [0] * 2 * dimensions)
    return (
        given.get("group", 1),
        list(given.get("strides", ones)),
        list(given.get("dilations", ones)),
        list(zip(pads[:dimensions], pads[dimensions:], strict=True)),
    )


def _inputs(node: NodeProto, weights: Mapping[str, Sequence[int]]) -> int:
    shape = weights[node.input[1]]
    return prod(shape[1:]) if node.op_type == "Conv" else shape[0 if _turned(node) else 1]


def _turned(node: NodeProto) -> bool:
    """Whether the weights of an operation have their inputs first."""
    if node.op_type == "Conv":
        return False
    return not any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
