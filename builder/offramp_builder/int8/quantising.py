"""From float32 to int8, by ONNX Runtime's toolkit: which operations, in which form.

    Conv, Gemm, MatMul by constants          with weights per channel
    Relu, Clip, MaxPool, Concat, Add         between these, so that nothing is read back in between
    all others                               stay in float32

The form was chosen by what is fast at batch 1 on a processor without int8 dot products (AVX2 alone), and exact on all:
activations in 8 bits without a sign, weights with one in 7 of their 8 bits. There two products are added up in 16 bits,
and 2 · 255 · 127 would not fit; in the forms that need no such care (weights without a sign), convolutions take 1.5 to
2 times as long there.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from onnx import ModelProto, NodeProto
from onnx.shape_inference import infer_shapes
from onnxruntime.quantization import QDQQuantizer, QuantType, TensorsData

from offramp_builder.int8.whole import Whole, ancestors

_WEIGHTED = {"Conv": 1, "Gemm": 1, "MatMul": 1}
"""By operation, which input has to be a constant."""
_PASSING = ("Relu", "Clip", "MaxPool", "Concat", "Add")


def weighted(whole: Whole) -> list[str]:
    """The operations that can be quantised and have weights, in order; scores are none."""
    constants = _constants(whole.model)
    return [node.name for node in _answering(whole) if _is_weighted(node, constants)]


def quantised(whole: Whole, ranges: TensorsData, kept: Collection[str]) -> Whole:
    """The network with all operations in int8 that can be, but for the weighted ones that are `kept` as they are."""
    model = ModelProto()
    model.CopyFrom(infer_shapes(whole.model))
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=list(_chosen(whole, kept)),
        nodes_to_exclude=[],
        op_types_to_quantize=[*_WEIGHTED, *_PASSING],
        extra_options={},
    )
    quantizer.quantize_model()
    return replace(whole, model=quantizer.model.model)


def _chosen(whole: Whole, kept: Collection[str]) -> Iterator[str]:
    """Those with weights, and what passes on values that are rounded anyway."""
    constants = _constants(whole.model)
    nodes = _answering(whole)
    chosen = {node.name for node in nodes if node.name not in kept and _is_weighted(node, constants)}
    rounded = {name for node in nodes if node.name in chosen for name in (node.input[0], node.output[0])}
    for node in nodes:
        if node.op_type in _PASSING and all(name in rounded or name in constants for name in node.input if name):
            if node.op_type == "Add" and any(name in constants for name in node.input):
                continue
            rounded.add(node.output[0])
            chosen.add(node.name)
        if node.name in chosen:
            yield node.name


def _answering(whole: Whole) -> list[NodeProto]:
    """What leads to logits: scores are made of these, in float32."""
    return ancestors(whole.model, list(whole.logits.values()))


def _constants(model: ModelProto) -> set[str]:
    return {weight.name for weight in model.graph.initializer}


def _is_weighted(node: NodeProto, constants: Collection[str]) -> bool:
    place = _WEIGHTED.get(node.op_type)
    return place is not None and node.input[place] in constants
