"""The whole network of a bundle in one graph, with all its branches; and any segment, cut out of such a graph.

    0→1 ─► 1→2, with its branch ─► … ─► n-1→n      whole_network: from the bundle's segments
                                                   … it is quantised …
    0→3, with its branch                           cut_out: a segment again

What is quantised as one graph agrees with itself at every cut: where one segment ends and the next begins, both mean
the same levels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import onnx
import onnx_ir
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.helper import make_graph, make_model, make_tensor_value_info, np_dtype_to_tensor_dtype

import offramp
from offramp.bundle.manifest import SCORES, Manifest
from offramp.bundle.specs import SegmentSpec, TensorSpec
from offramp.bundle.store import Bundle
from offramp_builder.compose import with_names
from offramp_builder.weights import WeightFile

_BATCH = "N"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Whole:
    """A network in one graph, its weights inside; its outputs are all logits."""

    model: ModelProto
    features: Mapping[int, tuple[str, ...]]
    """The names of what crosses each cut but the last; at cut 0 the sample."""
    logits: Mapping[int, str]
    """Of each branch by its cut, and of the end."""
    scores: Mapping[int, str]


def whole_network(bundle: Bundle) -> Whole:
    """Every stage and every branch, each once."""
    manifest = bundle.manifest
    features = {
        cut: tuple(f"cut{cut}.{index}" for index in range(len(spec.tensors)))
        for cut, spec in enumerate(manifest.cuts[:-1])
    }
    answering = [*sorted(branch.cut for branch in manifest.branches), manifest.end]
    logits = {cut: f"cut{cut}.logits" for cut in answering}
    scores = {cut: f"cut{cut}.scores" for cut in answering}
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    for start, stop in pairwise(range(manifest.end + 1)):
        spec = manifest.segment(start, stop, branch=manifest.branch_at(stop) is not None)
        model = onnx.load(bundle.file(spec.file))
        ends = dict(zip(_numbered("feature_{}", features[start]), features[start], strict=True))
        ends |= zip(_numbered("feature_{}_out", features.get(stop, ())), features.get(stop, ()), strict=True)
        ends |= {"logits": logits[stop], "scores": scores[stop]} if stop in logits else {}
        own = {name: f"{start}.{name}" for name in _all_names(model) if name}
        nodes += [with_names(node, own | ends) for node in model.graph.node]
        for weight in model.graph.initializer:
            weight.name = own[weight.name]
            weights.append(weight)
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}.{number}"
    graph = make_graph(
        nodes,
        manifest.name,
        _values(features[0], manifest.cuts[0].tensors),
        [_floats(name, _classes(manifest)) for name in logits.values()],
        weights,
    )
    whole = make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return Whole(model=whole, features=features, logits=logits, scores=scores)


def cut_out(whole: Whole, spec: SegmentSpec, manifest: Manifest, weights: WeightFile) -> ModelProto:
    """The part of a whole network that a segment computes; its weights are placed in the file."""
    reader = _Reader(whole.model)
    given = whole.features[spec.start]
    # What crosses is float32, and has been rounded to the levels that the next segment reads.
    left = [reader.rounded(name) for name in whole.features.get(spec.stop, ())]
    says = [whole.logits[spec.stop], whole.scores[spec.stop]] if spec.branch or spec.stop == manifest.end else []
    nodes = reader.between(given, [*left, *says])
    names = dict(zip(given, _numbered("feature_{}", given), strict=True))
    names |= zip(left, _numbered("feature_{}_out", left), strict=True)
    names |= zip(says, ("logits", "scores"), strict=False)
    used = {name for node in nodes for name in node.input}
    outputs = _values([names[name] for name in left], manifest.left_by(spec))
    outputs += [_floats("logits", _classes(manifest)), _floats("scores", len(SCORES))] if says else []
    graph = make_graph(
        [with_names(node, names) for node in nodes],
        f"{spec.start}-{spec.stop}{'b' * spec.branch}",
        _values([names[name] for name in given], manifest.cuts[spec.start].tensors),
        outputs,
        [
            weights.place(weight.name, onnx_ir.from_proto(weight))
            for weight in whole.model.graph.initializer
            if weight.name in used
        ],
    )
    return make_model(
        graph,
        opset_imports=whole.model.opset_import,
        ir_version=whole.model.ir_version,
        producer_name="offramp",
        producer_version=offramp.__version__,
    )


def only_logits(whole: Whole) -> ModelProto:
    """The network without its scores."""
    model = ModelProto()
    model.CopyFrom(whole.model)
    del model.graph.node[:]
    model.graph.node.extend(ancestors(whole.model, list(whole.logits.values())))
    return model


def ancestors(model: ModelProto, outputs: Sequence[str], inputs: Sequence[str] = ()) -> list[NodeProto]:
    """The nodes that compute `outputs`, in order; not those that compute `inputs`."""
    return _Reader(model).between(inputs, outputs)


class _Reader:
    """Finds nodes by what they read and write."""

    def __init__(self, model: ModelProto) -> None:
        self._nodes = list(model.graph.node)
        self._producer = {name: index for index, node in enumerate(self._nodes) for name in node.output if name}
        self._rounds = {node.input[0]: node.output[0] for node in self._nodes if node.op_type == "QuantizeLinear"}
        self._reads = {node.input[0]: node.output[0] for node in self._nodes if node.op_type == "DequantizeLinear"}

    def rounded(self, name: str) -> str:
        """The value after it was quantised and read back; itself where nobody quantises it."""
        return self._reads.get(self._rounds.get(name, ""), name)

    def between(self, inputs: Sequence[str], outputs: Sequence[str]) -> list[NodeProto]:
        needed: set[int] = set()
        waiting = [name for name in outputs if name not in inputs]
        while waiting:
            index = self._producer.get(waiting.pop())
            if index is not None and index not in needed:
                needed.add(index)
                waiting.extend(name for name in _read_by(self._nodes[index]) if name not in inputs)
        return [self._nodes[index] for index in sorted(needed)]


def _read_by(node: NodeProto) -> list[str]:
    """What a node reads, inside its sub-graphs too."""
    inner = chain.from_iterable(attribute.g.node for attribute in node.attribute)
    return [*node.input, *chain.from_iterable(map(_read_by, inner))]


def _all_names(model: ModelProto) -> set[str]:
    graph = model.graph
    found = {value.name for value in graph.input} | {weight.name for weight in graph.initializer}
    return found.union(*([*node.input, *node.output] for node in graph.node))


def _numbered(pattern: str, names: Sequence[str]) -> list[str]:
    return [pattern.format(index) for index in range(len(names))]


def _classes(manifest: Manifest) -> int:
    return manifest.cuts[-1].tensors[0].elements


def _values(names: Sequence[str], tensors: Sequence[TensorSpec]) -> list[ValueInfoProto]:
    return [
        make_tensor_value_info(name, np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), [_BATCH, *tensor.shape])
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _floats(name: str, width: int) -> ValueInfoProto:
    return make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH, width])
