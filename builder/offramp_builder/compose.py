"""From fragments to segments: chain stages, and hang a branch or the final scores at the end.

    feature_0 ─► stage 2 ─► stage 3 ─► stage 4 ─┬─► feature_0_out
                                                └─► branch ─► logits, scores

Fragments bring names of their own, all different; only what crosses from one to the next is renamed.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.helper import make_graph, make_model, make_opsetid, make_tensor_value_info, np_dtype_to_tensor_dtype

import offramp
from offramp.bundle.manifest import SCORES
from offramp.bundle.specs import CutSpec
from offramp_builder.export import OPSET, Fragment
from offramp_builder.weights import WeightFile

IR_VERSION = 10
"""What OPSET needs; ONNX Runtime reads it since 1.18."""
_BATCH = "N"


def compose(
    *,
    name: str,
    start: CutSpec,
    stop: CutSpec,
    stages: Sequence[Fragment],
    answer: Fragment | None,
    last: bool,
    classes: int,
    weights: WeightFile,
) -> ModelProto:
    """One segment.

    Args:
        name: Of the graph, for those who look inside.
        start: The cut that it begins at.
        stop: The cut that it ends at.
        stages: The stages between, in order.
        answer: What turns the tensors of `stop` into logits and scores: a branch, or at the end of the network the
            scores alone. None for a segment that answers nothing.
        last: Whether `stop` is the end of the network, whose tensor is the logits.
        classes: K.
        weights: Where the weights go.
    """
    nodes: list[NodeProto] = []
    crossing = _inputs(start)
    for index, stage in enumerate(stages):
        ends = index == len(stages) - 1
        names = (["logits"] if last else _outputs(stop)) if ends else list(stage.outputs)
        nodes += _renamed(stage, crossing, names)
        crossing = names
    if answer is not None:
        # A branch reads the first of the tensors that are alive.
        nodes += _renamed(answer, crossing[:1], ["scores"] if last else ["logits", "scores"])
    used = [*stages, *([answer] if answer is not None else [])]
    initializers = {name: weight for fragment in used for name, weight in fragment.weights.items()}
    outputs = [] if last else _values(_outputs(stop), stop)
    if answer is not None:
        outputs += [_float_value("logits", classes), _float_value("scores", len(SCORES))]
    graph = make_graph(
        nodes,
        name,
        _values(_inputs(start), start),
        outputs,
        [weights.place(name, weight) for name, weight in initializers.items()],
    )
    return make_model(
        graph,
        opset_imports=[make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="offramp",
        producer_version=offramp.__version__,
    )


def _inputs(cut: CutSpec) -> list[str]:
    return [f"feature_{index}" for index in range(len(cut.tensors))]


def _outputs(cut: CutSpec) -> list[str]:
    return [f"feature_{index}_out" for index in range(len(cut.tensors))]


def _renamed(fragment: Fragment, inputs: Sequence[str], outputs: Sequence[str]) -> list[NodeProto]:
    """The fragment's nodes, reading `inputs` and writing `outputs`."""
    names = dict(zip((*fragment.inputs, *fragment.outputs), (*inputs, *outputs), strict=True))
    return [with_names(node, names) for node in fragment.nodes]


def with_names(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    """The node, reading and writing other values; those without a new name keep theirs."""
    copy = NodeProto()
    copy.CopyFrom(node)
    _rename(copy, names)
    return copy


def _rename(node: NodeProto, names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:  # the body of a loop or a condition reads names of the outer graph
            for inner in attribute.g.node:
                _rename(inner, names)
            for output in attribute.g.output:
                output.name = names.get(output.name, output.name)


def _values(names: Iterable[str], cut: CutSpec) -> list[ValueInfoProto]:
    return [
        make_tensor_value_info(name, np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), [_BATCH, *tensor.shape])
        for name, tensor in zip(names, cut.tensors, strict=True)
    ]


def _float_value(name: str, width: int) -> ValueInfoProto:
    return make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH, width])
