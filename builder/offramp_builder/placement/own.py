"""Exits that a network brings along: its forward returns several logits.

    sample ─► a ─► b ─┬─► c ─► d ─► logits          the end: of a list the last, of a mapping `final` or `logits`
                      └─► pool ─► linear ─► logits  an exit of its own, at b

What leads from the road to such logits, and to nothing else, is its head: taken out of the traced graph as it is.

# N samples, K classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.graph import CodeGen

from offramp.errors import ModelError
from offramp_builder.cuts import FoundCut, bottlenecks, needed_for
from offramp_builder.fold import rewrite_for_runtime
from offramp_builder.graphs import piece

KIND = "own"
"""Of such branches, in a bundle."""
_ENDS = ("final", "logits")
"""Names of the end, the surer one first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnExit:
    """A head of the network's own."""

    name: str
    """Its key in the mapping that forward returns, or its place in the list."""
    position: int
    """Of the cut that it hangs on."""
    network: nn.Module
    """From the first tensor of the cut to logits [N, K]; shares its parameters with the network."""


def named_logits(output: object) -> tuple[dict[str, Tensor], str]:
    """All logits that a network returned, by name, and the name of those at its end.

    Raises:
        ModelError: There are none, or nothing says which are at the end.
    """
    if isinstance(output, Tensor):
        return {"": output}, ""
    if isinstance(output, Mapping):
        members = {str(name): value for name, value in output.items()}
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", None) or range(len(output))
        members = {str(name): value for name, value in zip(names, output, strict=True)}
    else:
        members = {}
    end = next((name for name in _ENDS if isinstance(members.get(name), Tensor)), None)
    if end is None and not isinstance(output, Mapping) and members:
        end = next(iter(members))  # (logits, what else there is); of several logits the last, see below
    alike = members.get(end) if end is not None else None
    logits = {name: value for name, value in members.items() if _is_logits(value, alike)}
    if end not in _ENDS and len(logits) > 1 and len({value.shape[1] for value in logits.values()}) == 1:
        end = list(logits)[-1]
    if end is None or not isinstance(members[end], Tensor):
        raise ModelError(
            f"the network returns {type(output).__name__}, in which there are no logits to be found; return a tensor "
            f"[N, K], a tuple that begins with it, or a mapping with the key 'logits'; of a network with exits of its "
            f"own, a list of logits [N, K] that ends with those of the whole, or a mapping with the key 'final'"
        )
    return logits or {end: members[end]}, end


def hanging_at(sample: Node, end: Node, exits: Sequence[Node]) -> list[tuple[Node, Node]]:
    """For each exit's logits: the node of the road that its head begins at; and one that would do where that cannot be
    a cut, with more to compute anew.
    """
    road = needed_for(sample, [end])
    order = {node: index for index, node in enumerate(road)}
    alone = [sample, *bottlenecks(road)]
    found = []
    for logits in exits:
        head = [node for node in needed_for(sample, [logits]) if node not in order]
        used = {source for node in head for source in node.all_input_nodes if source in order} or {logits}
        first = min(order[node] for node in used)
        before = [node for node in alone if order[node] <= first][-1]
        found.append((used.pop() if len(used) == 1 else before, before))
    return found


def own_exits(
    graph: GraphModule, cuts: Sequence[FoundCut], named: Mapping[str, Node], places: Sequence[tuple[Node, Node]]
) -> tuple[OwnExit, ...]:
    """The heads of the exits `named`, at the `places` that `hanging_at` gave.

    Raises:
        ModelError: An exit takes more operations than the end, or reads nothing but the sample.
    """
    position = {cut.tensors[0].node: cut.position for cut in cuts}
    found = []
    for (name, logits), nodes in zip(named.items(), places, strict=True):
        at = next((node for node in nodes if node.name in position), None)
        if at is None or position[at.name] == 0:
            raise ModelError(
                f"the exit {name!r} of the network reads the sample itself, so that nothing runs before it; leave it "
                f"out of what forward returns"
            )
        head = rewrite_for_runtime(piece(graph, [at.name], [logits.name]))
        found.append(OwnExit(name=name, position=position[at.name], network=_Head(head).eval()))
    return tuple(sorted(found, key=lambda exit_: exit_.position))


def check_end(sample: Node, answers: Mapping[str, Node], macs: Mapping[str, int]) -> None:
    """Refuse an end, the last of `answers`, that is none: from where they part, other logits lie further away.

    Raises:
        ModelError: Some other logits take more operations that the end has no part in than the other way round.
    """
    *others, last = answers
    road = set(needed_for(sample, [answers[last]]))
    for name in others:
        head = set(needed_for(sample, [answers[name]]))
        # What further exits need as well, on which this one builds, says nothing about it.
        shared = set(needed_for(sample, [answers[other] for other in others if other != name]))
        beyond, before = (sum(macs.get(node.name, 0) for node in part) for part in (head - road - shared, road - head))
        if beyond > before:
            raise ModelError(
                f"the logits {last!r} are taken for the end of the network, but {name!r} lie further on "
                f"({beyond:,} operations of its own, against {before:,}); return those of the whole network last, or "
                f"in a mapping as 'final'"
            )


def only_end(module: GraphModule, end: Node) -> None:
    """Let the graph return its end alone, and forget the heads."""
    module.graph.output_node().args = ((end,),)
    module.graph.set_codegen(CodeGen())  # export's own counts on as many results as there were
    module.graph.eliminate_dead_code()
    module.recompile()


class _Head(nn.Module):
    def __init__(self, head: GraphModule) -> None:
        super().__init__()
        self.head = head

    def forward(self, feature: Tensor) -> Tensor:
        (logits_NK,) = self.head(feature)
        return logits_NK.float()  # type: ignore[no-any-return]


def _is_logits(value: object, alike: object) -> bool:
    if not isinstance(value, Tensor) or value.ndim != 2 or not value.is_floating_point():
        return False
    return not isinstance(alike, Tensor) or (alike.ndim == 2 and value.shape[1] == alike.shape[1])
