"""From pieces of a network to ONNX fragments, all in one export.

    in_0 ─► piece 0 ─► out_0          one torch program, in which nothing connects the pieces
    in_1 ─► piece 1 ─► out_1          and each has a batch size of its own
    …

Exporting costs a second however small the piece, so stages, branches and scores go through it together. Because each
piece has its own batch size, no piece can come to read it from another. Afterwards the graph falls apart into
fragments, which compose.py chains into segments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir
import torch
from onnx import NodeProto
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.quiet import quietly

OPSET = 20
"""20 has Gelu; from 23 on attention is one operation, which runtimes on boards do not all know yet."""
_EXAMPLE = 2  # rows to trace with; torch.export would take 1 for a constant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A module to export, and one row of each of its inputs ([1, *shape])."""

    name: str
    description: str
    """What a person calls it, when it cannot be exported."""
    module: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: int
    """How many tensors it returns, in a tuple."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragment:
    """An exported piece: nodes in order, with value names that no other fragment uses."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NodeProto, ...]
    weights: Mapping[str, onnx_ir.TensorProtocol]


def export_pieces(pieces: Sequence[Piece]) -> dict[str, Fragment]:
    """Export the pieces together; the result is keyed by their names.

    Raises:
        ModelError: A piece has an operation that ONNX lacks; the message names the piece.
    """
    try:
        model = _export(pieces)
    except Exception as error:  # the exporter raises whatever its translation met
        raise _explain(pieces, error) from error
    return _take_apart(model, pieces)


class _SideBySide(nn.Module):
    def __init__(self, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.pieces = nn.ModuleList(piece.module for piece in pieces)
        self.arity = [len(piece.inputs) for piece in pieces]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        waiting = iter(inputs)
        results: list[Tensor] = []
        for piece, arity in zip(self.pieces, self.arity, strict=True):
            results.extend(piece(*(next(waiting) for _ in range(arity))))
        return tuple(results)


def _export(pieces: Sequence[Piece]) -> onnx_ir.Model:
    examples = tuple(
        tensor.expand(_EXAMPLE, *tensor.shape[1:]).contiguous() for piece in pieces for tensor in piece.inputs
    )
    free = tuple({0: torch.export.Dim.DYNAMIC} for _ in examples)
    with quietly():
        program = torch.export.export(_SideBySide(pieces).eval(), examples, dynamic_shapes=(free,))
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[name for piece in pieces for name in _inputs(piece)],
            output_names=[name for piece in pieces for name in _outputs(piece)],
            verbose=False,
        )
    assert exported is not None
    return exported.model


def _take_apart(model: onnx_ir.Model, pieces: Sequence[Piece]) -> dict[str, Fragment]:
    graph = model.graph
    given = {value.name: value for value in graph.inputs}
    results = {value.name: value for value in graph.outputs}
    order = {node: index for index, node in enumerate(graph)}
    fragments = {}
    for piece in pieces:
        needed: set[onnx_ir.Node] = set()
        weights: dict[str, onnx_ir.TensorProtocol] = {}
        waiting = [results[name] for name in _outputs(piece)]
        while waiting:
            value = waiting.pop()
            node, name = value.producer(), value.name
            assert name is not None
            if node is None:
                if name in given and name not in _inputs(piece):
                    raise ModelError(f"exported {piece.name} reads {name}, which belongs to another piece")
                if name in graph.initializers:
                    assert value.const_value is not None
                    weights[name] = value.const_value
            elif node not in needed:
                needed.add(node)
                waiting.extend(used for used in _used(node) if used is not None)
        fragments[piece.name] = Fragment(
            inputs=tuple(_inputs(piece)),
            outputs=tuple(_outputs(piece)),
            nodes=tuple(_plain(node) for node in sorted(needed, key=order.__getitem__)),
            weights=weights,
        )
    return fragments


def _used(node: onnx_ir.Node) -> Iterator[onnx_ir.Value | None]:
    """What a node reads, inside its sub-graphs too."""
    yield from node.inputs
    for attribute in node.attributes.values():
        if isinstance(attribute, onnx_ir.Attr) and attribute.type == onnx_ir.AttributeType.GRAPH:
            for inner in attribute.as_graph():
                yield from _used(inner)


def _plain(node: onnx_ir.Node) -> NodeProto:
    """The node without the exporter's notes on where it came from: five times its own size, and paths of this host."""
    proto = onnx_ir.to_proto(node)
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")
    return proto


def _explain(pieces: Sequence[Piece], error: Exception) -> ModelError:
    """Export the pieces one by one, to say which of them is at fault."""
    for piece in pieces:
        try:
            _export([piece])
        except Exception as own:  # whatever the translation of this piece met
            cause = own.__cause__ or own
            line = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
            return ModelError(
                f"{piece.description} has no form in ONNX: {line}; "
                f"replace the operation by others that compute the same"
            )
    return ModelError(f"the network has no form in ONNX: {error}")


def _inputs(piece: Piece) -> list[str]:
    return [f"{piece.name}_in_{index}" for index in range(len(piece.inputs))]


def _outputs(piece: Piece) -> list[str]:
    return [f"{piece.name}_out_{index}" for index in range(piece.outputs)]
