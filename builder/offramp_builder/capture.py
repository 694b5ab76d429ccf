"""From a torch module to a graph that knows where it can be divided. What the rest of the builder stands on:

    captured = capture(module, sample, preprocessor(sample, mean=…, std=…))
    captured.cuts                                   every cut found: name, tensors, operations up to there
    features.run_to(captured, positions, batch)     the tensors at some cuts, for one batch of raw samples
    features.features(captured, positions, batches) the same, batch after batch

Positions are indices into `captured.cuts`; 0 is the input, the last the output. A batch is a tensor of raw samples
[N, *sample.shape] with the sample's dtype. The graph shares its parameters with `module`: capture when the trunk is
trained.

# N samples, K classes
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp.registry import unknown
from offramp_builder.cuts import INPUT, OUTPUT, PREPROCESS, FoundCut, find_cuts
from offramp_builder.graphs import tidy
from offramp_builder.operations import count_macs
from offramp_builder.placement.own import OwnExit, check_end, hanging_at, named_logits, only_end, own_exits
from offramp_builder.quiet import quietly
from offramp_builder.refusals import check_answers, check_graph, explain

_TRACED = 2  # samples to trace with; torch.export would take 1 for a constant
EXAMPLES = 5
"""Samples that a captured network keeps for trials: the largest batch that verification runs."""


class Road(nn.Module):
    """The whole way from raw samples to logits: preprocessing, then the network as the user wrote it."""

    def __init__(self, preprocess: nn.Module, model: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.model = model

    def forward(self, sample: Tensor) -> Tensor:
        *_, logits_NK = self.answers(sample).values()
        return logits_NK

    def answers(self, sample: Tensor) -> dict[str, Tensor]:
        """Logits of all exits that the network has of its own, by name, and of its end, which comes last."""
        logits, end = named_logits(self.model(self.preprocess(sample)))
        others = {name: value for name, value in logits.items() if name != end}
        # Logits are float32 in every bundle, whatever the network computes in.
        return {name: value.float() for name, value in (*others.items(), (end, logits[end]))}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captured:
    """A network, its graph, and the places where it can be divided."""

    road: Road
    """The original, from raw samples to logits: what everything else is compared with."""
    graph: GraphModule
    sample: SampleSpec
    cuts: tuple[FoundCut, ...]
    classes: int
    """K."""
    examples: Tensor
    """EXAMPLES raw samples, for whoever needs some to try."""
    own: tuple[OwnExit, ...] = ()
    """The exits that the network brings along, in order."""

    @property
    def end(self) -> int:
        """Position of the output."""
        return len(self.cuts) - 1

    @property
    def macs(self) -> int:
        return self.cuts[-1].macs

    def position(self, name: str) -> int:
        """Where the cut of this name (or index) is.

        Raises:
            ModelError: There is none; the message lists those there are.
        """
        names = [cut.name for cut in self.cuts]
        if name in names:
            return names.index(name)
        if name.isdigit() and int(name) <= self.end:
            return int(name)
        raise ModelError(unknown("cut", name, names))


def capture(
    module: nn.Module, sample: SampleSpec, preprocess: nn.Module, *, examples: Tensor | None = None
) -> Captured:
    """Trace the network with a free batch size and find its cuts.

    The network is put into evaluation mode and stays there. It may return a tuple or list that begins with its logits,
    or a mapping with the key `logits`; what computes only other members is dropped. Where several members are logits
    [N, K], the last one, or the one called `final` or `logits`, is its end, and the others are exits of its own.

    Args:
        module: From the preprocessed input to logits.
        sample: What a raw sample looks like.
        preprocess: From raw samples to the module's input.
        examples: Raw samples [N, *shape] to try it with; noise where there are none. Only a network that does not
            take every value of its dtype (an index into a table, say) needs them.

    Raises:
        ModelError: It cannot be traced, has no cut, depends on the batch, or does not return logits [N, K].
    """
    road = Road(preprocess, module).eval()
    if examples is None or len(examples) == 0:
        examples = random_samples(sample, EXAMPLES)
    examples = examples[torch.arange(EXAMPLES) % len(examples)]
    logits_NK = check_answers(road, examples)
    traced = _Traced(road.preprocess, road.model).eval()
    with quietly():
        try:
            program = torch.export.export(
                traced, (examples[:_TRACED],), dynamic_shapes={"sample": {0: torch.export.Dim.DYNAMIC}}
            )
            # Without it models that work in place are silently wrong in every slice.
            program = program.run_decompositions({})
        except Exception as error:  # torch.export raises whatever the model's own code met
            raise explain(error) from error
    check_graph(program)
    graph = tidy(program.module())
    (placeholder,) = graph.graph.find_nodes(op="placeholder")
    with torch.no_grad():
        names = list(road.answers(examples[:_TRACED]))
    answers: dict[str, Node] = dict(zip(names, tree_leaves(graph.graph.output_node().args), strict=True))
    *_, logits = answers.values()
    exits = {name: node for name, node in answers.items() if node is not logits}
    macs = count_macs(graph, examples[:1])
    check_end(placeholder, answers, macs)
    places = hanging_at(placeholder, logits, list(exits.values()))
    cuts = find_cuts(placeholder, logits, macs, also=[node for node, _ in places])
    own = own_exits(graph, cuts, exits, places)
    only_end(graph, logits)
    if all(cut.name in (INPUT, PREPROCESS, OUTPUT) or not cut.split for cut in cuts):
        raise ModelError(
            f"{type(module).__name__} has no cut: nowhere between its input and its output is a single tensor alone "
            f"alive; give it a point where its paths meet, or run it whole on one machine"
        )
    classes = logits_NK.shape[1]
    return Captured(road=road, graph=graph, sample=sample, cuts=cuts, classes=classes, examples=examples, own=own)


def random_samples(sample: SampleSpec, count: int, *, seed: int = 0) -> Tensor:
    """Noise in the shape of raw samples [count, *shape]: every value an integer dtype has, a normal for floats."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(sample.dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = random.integers(limits.min, limits.max, (count, *sample.shape), dtype, endpoint=True)
    else:
        values = random.standard_normal((count, *sample.shape)).astype(dtype)
    return torch.from_numpy(values)


class _Traced(Road):
    """The same for torch.export, with the logits of all exits."""

    def forward(self, sample: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return tuple(self.answers(sample).values())
