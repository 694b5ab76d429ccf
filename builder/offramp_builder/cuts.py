"""Where a captured network can be divided.

    ─► a ─► b ─┬─► c ─► d ─► add ─► e        alive after b: b (a cut)
               └──────────────┘              alive after c: c and b (none)

A split is a tensor through which everything flows: after it, it alone is alive. Parameters, constants and sizes do not
count. Whether a tensor is a split does not depend on the order in which the graph happens to be written: it is one
exactly when every path from the input to the output goes through it.

Activations inside a block (c, if it is one) are cuts too, with all the tensors that are alive there, but never splits:
a branch may hang on the activation, and who stays goes on with the rest. Up to there, only what the activation needs
has run: a shortcut with weights of its own waits until somebody needs it.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import SymInt, Tensor
from torch.fx import Node

from offramp.bundle.specs import TensorSpec
from offramp.units import Bytes

INPUT, OUTPUT, PREPROCESS = "input", "output", "preprocess"
_ON_THE_WIRE = {
    dtype: str(dtype).removeprefix("torch.")
    for dtype in (
        *(torch.float32, torch.float64, torch.float16),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
    )
}
"""What a tensor at a cut may hold, and numpy's name for it; bfloat16 has none."""
_NONLINEARITIES = (
    *("relu", "relu6", "hardtanh", "silu", "gelu", "hardswish", "leaky_relu", "elu", "tanh", "sigmoid"),
    *("mish", "selu", "celu", "softplus", "prelu", "prelu_kernel", "hardsigmoid"),
)
_RESERVED = (INPUT, OUTPUT, "end")  # words that a plan uses for cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTensor:
    """One tensor at a cut."""

    node: str
    """Its name in the captured graph."""
    spec: TensorSpec
    """Shape without the batch dimension, and dtype; no range yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCut:
    """A boundary at which the network can be divided."""

    position: int
    """Its index among `Captured.cuts`: 0 is the input, the last the output."""
    name: str
    """The outermost module whose call ends there, else the module and the operation; unique."""
    tensors: tuple[FoundTensor, ...]
    """Those alive; a branch reads the first."""
    macs: int
    """Multiply-accumulates of one sample from the input up to here."""
    natural: bool
    """Whether one would divide here by hand: a module's call ends, or a non-linearity has just been applied."""
    activation: bool = False
    """Whether a non-linearity has just been applied: where a branch reads what has been recognised."""
    split: bool = True
    """Whether a plan may split here: nothing but the one tensor is alive."""

    @property
    def nbytes(self) -> Bytes:
        return Bytes(sum(tensor.spec.nbytes for tensor in self.tensors))


def find_cuts(sample: Node, logits: Node, macs: dict[str, int], *, also: Collection[Node] = ()) -> tuple[FoundCut, ...]:
    """Every cut between `sample` and `logits`, both included.

    Args:
        sample: The graph's placeholder.
        logits: The node that the graph returns.
        macs: Multiply-accumulates of each node, by name; nodes without operations may be missing, and what is computed
            from parameters alone counts nothing: it could be computed once for all samples.
        also: Further nodes where branches hang.
    """
    written = needed_for(sample, [logits])
    following = dict(pairwise(written))
    batch = sample.meta["val"].shape[0]
    alone = {sample, logits, *(node for node in bottlenecks(written) if _can_cross(node, batch))}
    inside = {node for node in written if _operation(node) in _NONLINEARITIES or node in also} - alone
    moving = _as_late_as_possible(written, alone | inside)
    alive = _alive(moving)
    found = [
        node
        for node in moving
        if node in (sample, logits)
        or (node in alone | inside and _is_after_preprocessing(node, following) and _all_cross(alive[node], batch))
    ]
    names = _unique([_name(node, sample, logits, following) for node in found], first=[node in alone for node in found])
    spent, passed = 0, {}
    for node in moving:
        spent += macs.get(node.name, 0)
        passed[node] = spent
    return tuple(
        FoundCut(
            position=position,
            name=name,
            tensors=tuple(_tensor(tensor) for tensor in ([node] if node in alone else alive[node])),
            macs=passed[node],
            natural=_ending_module(node, following) is not None or _operation(node) in _NONLINEARITIES,
            activation=_operation(node) in _NONLINEARITIES,
            split=node in alone,
        )
        for position, (node, name) in enumerate(zip(found, names, strict=True))
    )


def depending_on(sample: Node) -> set[Node]:
    """The nodes whose values, and not only whose sizes, depend on `sample`; itself included."""
    moving = {sample}
    for node in sample.graph.nodes:
        is_size = isinstance(node.meta.get("val"), SymInt)
        if node.op != "output" and not is_size and any(source in moving for source in node.all_input_nodes):
            moving.add(node)
    return moving


def needed_for(sample: Node, results: Sequence[Node]) -> list[Node]:
    """What runs between `sample` and `results`, both included, as the graph has it in order."""
    dependent = depending_on(sample)
    needed: set[Node] = set()
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node in dependent and node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    return [node for node in sample.graph.nodes if node in needed]


def bottlenecks(moving: Sequence[Node]) -> Iterator[Node]:
    """The nodes after which they alone are alive."""
    return (node for index, (node, alive) in enumerate(_alive(moving).items()) if alive == [node] and index > 0)


def _alive(moving: Sequence[Node]) -> dict[Node, list[Node]]:
    """After each node: itself, then what else somebody later needs."""
    order = {node: index for index, node in enumerate(moving)}
    last_use = {
        node: max((order[user] for user in node.users if user in order), default=len(moving)) for node in moving
    }
    found: dict[Node, list[Node]] = {}
    alive: list[Node] = []
    for index, node in enumerate(moving):
        alive = [other for other in alive if last_use[other] > index]
        found[node] = [node, *alive]
        alive.append(node)
    return found


def _as_late_as_possible(written: Sequence[Node], wanted: Collection[Node]) -> list[Node]:
    """The nodes in another order: before each wanted one, nothing runs that it does not need.

    Those that are wanted keep their own order.
    """
    place = {node: index for index, node in enumerate(written)}
    ordered: dict[Node, None] = {}
    for node in (*(node for node in written if node in wanted), *written):
        needed, waiting = set(), [node]
        while waiting:
            one = waiting.pop()
            if one in place and one not in ordered and one not in needed:
                needed.add(one)
                waiting.extend(one.all_input_nodes)
        ordered |= dict.fromkeys(sorted(needed, key=place.__getitem__))
    return list(ordered)


def _can_cross(node: Node, batch: SymInt) -> bool:
    """Whether a payload can carry the node: a tensor, one row per sample, all other dimensions known."""
    val = node.meta.get("val")
    if not isinstance(val, Tensor) or val.ndim == 0 or val.dtype not in _ON_THE_WIRE:
        return False
    sizes: list[object] = list(val.shape)  # torch's stubs call them all int
    first, *rest = sizes
    rows = isinstance(first, SymInt) and bool(first.node.expr == batch.node.expr)
    return rows and not any(isinstance(size, SymInt) for size in rest)


def _all_cross(nodes: Sequence[Node], batch: SymInt) -> bool:
    return all(_can_cross(node, batch) for node in nodes)


def _tensor(node: Node) -> FoundTensor:
    val = node.meta["val"]
    return FoundTensor(node=node.name, spec=TensorSpec(shape=tuple(val.shape[1:]), dtype=_ON_THE_WIRE[val.dtype]))


# -- names ------------------------------------------------------------------------------------------------------------


def _is_after_preprocessing(node: Node, following: Mapping[Node, Node]) -> bool:
    """Nobody splits in the middle of normalisation: only its end is listed."""
    inside = any(path == PREPROCESS for _, path in _calls(node))
    return not inside or _ending_module(node, following) == PREPROCESS


def _name(node: Node, sample: Node, logits: Node, following: Mapping[Node, Node]) -> str:
    if node is sample:
        return INPUT
    if node is logits:
        return OUTPUT
    ending = _ending_module(node, following)
    if ending is None:
        calls = _calls(node)
        ending = ".".join([*(path for _, path in calls[-1:]), _operation(node)])
    # A plan is written with commas, slashes, @ and =; a cut that is only digits would be read as an index.
    ending = re.sub(r"[^\w.\-]", "_", ending)
    return f"module{ending}" if ending.isdigit() else ending


def _operation(node: Node) -> str:
    return str(getattr(node.target, "__name__", node.target)).split(".")[0].strip("_")


def _ending_module(node: Node, following: Mapping[Node, Node]) -> str | None:
    """Path of the outermost module call that `node` is the last to run in; `following` gives the next to run."""
    going_on = {call for call, _ in _calls(following[node])} if node in following else set()
    return next((path for call, path in _calls(node) if call not in going_on), None)


def _calls(node: Node) -> list[tuple[str, str]]:
    """(call, path) of the modules that the node runs in, outermost first, without the two that capture adds.

    A call is unique even when a module is called twice: torch.export marks the second `@1`.
    """
    stack = node.meta.get("nn_module_stack") or {}
    calls = []
    for call, (path, _) in stack.items():
        relative = re.sub(r"@\d+", "", path)
        if relative == PREPROCESS or relative.startswith(f"{PREPROCESS}."):
            calls.append((call, relative))
        elif relative.startswith("model."):
            calls.append((call, relative.removeprefix("model.")))
    return calls


def _unique(names: Sequence[str], *, first: Sequence[bool]) -> list[str]:
    """The second `relu` becomes `relu~2`; words with a meaning of their own are taken from the start.

    Those that come `first` are never called otherwise because of the rest.
    """
    seen: Counter[str] = Counter(_RESERVED)
    unique = list(names)
    for index in sorted(range(1, len(names) - 1), key=lambda index: not first[index]):
        name = names[index]
        seen[name] += 1
        unique[index] = name if seen[name] == 1 else f"{name}~{seen[name]}"
    return unique
