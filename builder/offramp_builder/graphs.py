"""Surgery on captured graphs: tidying one once, and taking out the piece between two sets of nodes.

A piece shares its parameters with the network that it was taken from. Where the network reads the batch size from
something before the piece, the piece reads it from its own first input.
"""

import operator
from collections.abc import Sequence

import torch
from torch import SymInt
from torch.fx import Graph, GraphModule, Node

from offramp.errors import ModelError

_aten = torch.ops.aten
_CHECKS = (_aten._assert_tensor_metadata.default, _aten._assert_scalar.default, _aten._assert_async.msg)
_BATCH_NORM = _aten._native_batch_norm_legit_no_training.default
_VIEWS = (_aten.view.default, _aten.reshape.default, _aten._unsafe_view.default)
_SIZE = _aten.sym_size.int


def tidy(module: GraphModule) -> GraphModule:
    """Write the graph in fewer words: no guards or checks, batch normalisation as one node, reshapes without sizes."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.op == "call_module" or node.target in _CHECKS:  # the only module that is called is `_guards_fn`
            graph.erase_node(node)
        elif node.target is _BATCH_NORM:
            _give_one_result(graph, node)
        elif node.target in _VIEWS:
            # A view demands the strides that its source had when it was traced; a tensor that crossed a cut has others.
            node.target = _aten.reshape.default
            _infer_batch(node)
    graph.eliminate_dead_code()
    graph.lint()
    module.recompile()
    return module


def piece(module: GraphModule, inputs: Sequence[str], outputs: Sequence[str]) -> GraphModule:
    """The part of the graph that computes the nodes `outputs` from the nodes `inputs`; it returns a tuple of tensors.

    Raises:
        ModelError: The outputs need something that the inputs do not determine.
    """
    nodes = {node.name: node for node in module.graph.nodes}
    graph = Graph()
    copies: dict[Node, Node] = {}
    for index, name in enumerate(inputs):
        copies[nodes[name]] = graph.placeholder(f"feature_{index}")
        copies[nodes[name]].meta = dict(nodes[name].meta)
    batch = nodes[inputs[0]].meta["val"].shape[0]
    needed = _needed([nodes[name] for name in outputs], copies, batch)
    rows: Node | None = None
    for node in module.graph.nodes:
        if node not in needed:
            continue
        multiple = _multiple_of(node, batch)
        if multiple is None:
            copies[node] = graph.node_copy(node, copies.__getitem__)
            continue
        if rows is None:
            rows = graph.call_function(_SIZE, (copies[nodes[inputs[0]]], 0))
            rows.meta["val"] = batch
        copies[node] = rows if multiple == 1 else graph.call_function(operator.mul, (rows, multiple))
        copies[node].meta["val"] = node.meta["val"]
    graph.output(tuple(copies[nodes[name]] for name in outputs))
    graph.lint()
    return GraphModule(module, graph)


def _needed(results: list[Node], given: dict[Node, Node], batch: SymInt) -> set[Node]:
    needed: set[Node] = set()
    waiting = [node for node in results if node not in given]
    while waiting:
        node = waiting.pop()
        if node in needed or node in given:
            continue
        if node.op == "placeholder":
            raise ModelError(
                f"{', '.join(result.name for result in results)} cannot be computed from "
                f"{', '.join(source.name for source in given)} alone: something before is needed too"
            )
        needed.add(node)
        if _multiple_of(node, batch) is None:
            waiting.extend(node.all_input_nodes)
    return needed


def _multiple_of(node: Node, batch: SymInt) -> int | None:
    """What multiple of the batch size the node reads off a tensor; None when it does something else."""
    if node.target is not _SIZE or not isinstance(node.meta.get("val"), SymInt):
        return None
    ratio = node.meta["val"].node.expr / batch.node.expr
    return int(ratio) if ratio.is_Integer else None


def _give_one_result(graph: Graph, node: Node) -> None:
    """`getitem(_native_batch_norm(x, …), 0)` becomes `batch_norm(x, …)`."""
    *arguments, momentum, epsilon = node.args
    for user in list(node.users):
        if user.target is operator.getitem and user.args[1] == 0:
            with graph.inserting_before(user):
                single = graph.call_function(_aten.batch_norm.default, (*arguments, False, momentum, epsilon, False))
            single.meta = dict(user.meta)
            user.replace_all_uses_with(single)
            graph.erase_node(user)


def _infer_batch(node: Node) -> None:
    """`reshape(x, [batch, 8, 64])` becomes `reshape(x, [-1, 8, 64])`, which reads no size when it runs."""
    source, sizes = node.args
    assert isinstance(sizes, Sequence)
    unknown = [size for size in sizes if isinstance(size, Node)]
    if len(unknown) == 1 and not any(size in (0, -1) for size in sizes if isinstance(size, int)):
        node.args = (source, [-1 if isinstance(size, Node) else size for size in sizes])
