"""Convolutions that read pixels as they are.

    uint8 ─► float32 ─► · scale + shift ─► convolution              as the network does
    uint8, and 255 ─► convolution with scale and shift in its weights

A pixel is an integer already: normalised and rounded again it would lose something, and take longer than a layer. The
channel more is 255 within the picture, so that shifts end where the picture does: around it, the network reads zeros.

    picture [H, W, C] ─► [C, H, W] ─► [C·H·W] ─► H·W more, all 255 ─► [C + 1, H, W]

It is put behind the others as one piece: pixel by pixel, that alone took a tenth of MobileNetV2's time at 224 pixels.
"""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto
from onnx.helper import make_node
from onnx.numpy_helper import from_array, to_array
from onnxruntime.quantization import TensorsData

from offramp_builder.int8.ranges import shared_session
from offramp_builder.int8.whole import Whole, ancestors

_CENTRED, _LEVEL = "pixels.centred", "pixels.level"
_LAYOUT, _ARITHMETIC = {"Transpose"}, {"Cast", "Mul", "Add", "Sub", "Div"}
_INSIDE = 255
"""What the channel more holds within the picture."""
_SAME = 1e-4
"""Relative: as exact as float32 is after a few operations."""


def reading_pixels(whole: Whole) -> Whole:
    """The same network with the normalisation in its first convolution; itself where it does not begin so."""
    model = ModelProto()
    model.CopyFrom(whole.model)
    weights = {weight.name: weight for weight in model.graph.initializer}
    (sample, *others) = whole.features[0]
    first = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if first is None or others or model.graph.input[0].type.tensor_type.elem_type != TensorProto.UINT8:
        return whole
    way = ancestors(model, [first.input[0]])
    reads = {name for node in way for name in node.output}
    outside = [node for node in model.graph.node if node.name not in {one.name for one in (*way, first)}]
    if (
        not way
        or any(node.op_type not in _LAYOUT | _ARITHMETIC for node in way)
        or any(name in reads or name == sample for node in outside for name in node.input)
        or any(attribute.name == "group" and attribute.i > 1 for attribute in first.attribute)
    ):
        return whole
    at = [_channels(whole, way, first.input[0], level) for level in (0, 128, 255)]
    if any(values_C is None for values_C in at):
        return whole
    shift_C, middle_C, top_C = (np.asarray(values_C, np.float64) for values_C in at)
    scale_C = (top_C - shift_C) / 255
    if not np.allclose(middle_C, shift_C + 128 * scale_C, rtol=_SAME, atol=_SAME) or not scale_C.all():
        return whole
    shape = _shape(whole, way, first.input[0])
    level = int(np.clip(np.rint(np.mean(-shift_C / scale_C)), 0, _INSIDE - 1))
    weight_OCk = to_array(weights[first.input[1]]).astype(np.float64)
    bias_O = to_array(weights[first.input[2]]).astype(np.float64) if len(first.input) > 2 else np.zeros(len(weight_OCk))
    scaled_OCk = np.einsum("oc...,c->oc...", weight_OCk, scale_C)
    shift_O1k = np.einsum("oc...,c->o...", weight_OCk, shift_C + level * scale_C)[:, None] / (_INSIDE - level)
    names = [f"{first.name}.{part}" for part in ("weight", "bias")]
    model.graph.initializer.extend(
        [
            from_array(np.array(level, np.float32), _LEVEL),
            from_array(np.array(_INSIDE, np.uint8), "pixels.inside"),
            from_array(np.array([0, 0, 0, prod(shape[1:])], np.int64), "pixels.more"),
            from_array(np.array([0, -1], np.int64), "pixels.row"),
            from_array(np.array([0, shape[0] + 1, *shape[1:]], np.int64), "pixels.shape"),
            from_array(np.concatenate([scaled_OCk, shift_O1k], axis=1).astype(np.float32), names[0]),
            from_array(bias_O.astype(np.float32), names[1]),
        ]
    )
    nodes = _turned(way, sample)
    turned = nodes[-1].output[0] if nodes else sample
    nodes += [
        make_node("Reshape", [turned, "pixels.row"], ["pixels.flat"], name="pixels.flatten"),
        make_node("Pad", ["pixels.flat", "pixels.more", "pixels.inside"], ["pixels.longer"], name="pixels.pad"),
        make_node("Reshape", ["pixels.longer", "pixels.shape"], ["pixels"], name="pixels.unflatten"),
        make_node("Cast", ["pixels"], ["pixels.float"], to=TensorProto.FLOAT, name="pixels.cast"),
        make_node("Sub", ["pixels.float", _LEVEL], [_CENTRED], name="pixels.centre"),
    ]
    convolution = NodeProto()
    convolution.CopyFrom(first)
    convolution.input[:] = [_CENTRED, *names]
    gone = {node.name for node in (*way, first)}
    rest = [node for node in model.graph.node if node.name not in gone]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, convolution, *rest])
    return replace(whole, model=model)


def with_pixel_range(whole: Whole, ranges: TensorsData) -> TensorsData:
    """With steps of one for the centred pixels, so that their levels are the pixels themselves."""
    level = next((to_array(one) for one in whole.model.graph.initializer if one.name == _LEVEL), None)
    if level is not None:
        ends = np.array(-level, np.float32), np.array(255 - level, np.float32)
        ranges.data[_CENTRED].lowest, ranges.data[_CENTRED].highest = ends
    return ranges


def without_centring(quantised: ModelProto) -> None:
    """Read the sample where it would be made float32, centred and rounded to what it was, in place."""
    by_input = {node.input[0]: node for node in quantised.graph.node}
    by_output = {node.output[0]: node for node in quantised.graph.node}
    rounds = by_input.get(_CENTRED)
    if rounds is None or rounds.op_type != "QuantizeLinear":
        return
    read = by_input[rounds.output[0]]
    read.input[0] = by_output["pixels.float"].input[0]
    for node in (rounds, by_output[_CENTRED], by_output["pixels.float"]):
        quantised.graph.node.remove(node)


def _channels(whole: Whole, way: list[NodeProto], name: str, level: int) -> NDArray[Any] | None:
    """What a picture of one level becomes, by channel; None where it is not the same everywhere."""
    value = _seen(whole, way, name, level)
    flat = value.reshape(len(value), -1)
    return flat[:, 0] if (flat == flat[:, :1]).all() else None


def _shape(whole: Whole, way: list[NodeProto], name: str) -> tuple[int, ...]:
    """Of what the convolution reads of one picture: channels, then sides."""
    return _seen(whole, way, name, 0).shape


def _seen(whole: Whole, way: list[NodeProto], name: str, level: int) -> NDArray[Any]:
    """What the convolution reads of a picture of one level."""
    model = ModelProto()
    model.CopyFrom(whole.model)
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(way)
    model.graph.output.add().name = name
    shape = [dimension.dim_value or 1 for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    (value,) = shared_session(model.SerializeToString()).run(
        None, {whole.features[0][0]: np.full(shape, level, np.uint8)}
    )
    seen: NDArray[Any] = value[0]
    return seen


def _turned(way: list[NodeProto], sample: str) -> list[NodeProto]:
    """The changes of layout alone, of bytes."""
    nodes: list[NodeProto] = []
    name = sample
    for node in way:
        if node.op_type in _LAYOUT:
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.input[0], copy.output[0] = name, f"pixels.turned.{len(nodes)}"
            name = copy.output[0]
            nodes.append(copy)
    return nodes
