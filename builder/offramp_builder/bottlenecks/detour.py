"""A bottleneck while it is trained: the way from the feature at its cut, over a quantised code, to the logits.

    feature ─► encoder ─► code ─► quantised, at a rate drawn for each sample ─► decoder ─► tail ─► logits

Stages of its own are the first part of the encoder, and learn as it does.

# N samples, C channels of the code, K classes
"""

import copy
from collections.abc import Collection
from typing import Self

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from offramp_builder.bottlenecks.layers import as_tuple
from offramp_builder.bottlenecks.quantise import Rates, at_rate, quantised
from offramp_builder.capture import Captured
from offramp_builder.graphs import piece

_TRAINING = 5  # which argument of a batch normalisation says whether it learns


class Detour(nn.Module):
    """In evaluation mode the code is sent at the highest rate."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, tail: nn.Module, rates: Rates, classes: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.tail = encoder, decoder, tail
        self.rates, self.classes = rates, classes
        self.answers = True
        """Whether the tail is asked; a step that learns features alone is four times as fast without it."""
        self.heard: tuple[Tensor, Tensor, Tensor] | None = None
        """Of the last batch: the feature that it was given, the code as it was sent, the decoded feature."""
        self._learning: frozenset[str] = frozenset()

    def learn(self, parts: Collection[str]) -> None:
        """Let these parts alone learn: `encoder`, `decoder`, `tail`."""
        self._learning = frozenset(parts)
        for name, part in self.named_children():
            part.requires_grad_(name in parts)

    def train(self, mode: bool = True) -> Self:
        """Parts that do not learn do not change their statistics either."""
        super().train(mode)
        for name, part in self.named_children():
            if name not in self._learning:
                part.eval()
        return self

    def forward(self, feature: Tensor) -> Tensor:
        code = self.encoder(feature)
        drawn = self.rates.drawn(len(code)) if self.training else None
        sent = quantised(code, *drawn) if drawn else at_rate(code, self.rates.highest)
        decoded, *voice = as_tuple(self.decoder(sent))
        self.heard = feature, sent, decoded
        if self.training and not self.answers:
            return decoded.new_zeros(len(decoded), self.classes)
        logits_NK: Tensor = self.tail(decoded, *voice)
        return logits_NK


class Stages(nn.Module):
    """The stages between two cuts, as a copy that may learn: a tail, where the second cut is the end.

    A captured network normalises by the statistics that it has; stages that learn, by those of what they are given.
    """

    def __init__(self, captured: Captured, start: int, stop: int) -> None:
        super().__init__()
        self.graph = _copied(captured, start, stop)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for node in self.graph.graph.nodes:
            if node.target is torch.ops.aten.batch_norm.default:
                node.update_arg(_TRAINING, mode)
        self.graph.recompile()
        return self

    def forward(self, feature: Tensor) -> Tensor:
        (found,) = self.graph(feature)
        value: Tensor = found
        return value


class Still(nn.Module):
    """The frozen stages between two cuts; a copy, and never with gradients or other statistics."""

    def __init__(self, captured: Captured, start: int, stop: int) -> None:
        super().__init__()
        self.graph = _copied(captured, start, stop).requires_grad_(False)

    def forward(self, feature: Tensor) -> Tensor:
        with torch.no_grad():
            (found,) = self.graph(feature)
        value: Tensor = found
        return value


class Head(nn.Module):
    """The frozen stages before a cut, and the rest for what they say in the end; a copy, and never with gradients."""

    def __init__(self, captured: Captured, position: int) -> None:
        super().__init__()
        names = [
            [tensor.node for place in places for tensor in captured.cuts[place].tensors]
            for places in ((0,), (position, captured.end))
        ]
        self.graph = copy.deepcopy(piece(captured.graph, *names)).requires_grad_(False)
        self.final_NK: Tensor | None = None
        """Logits of the unchanged network for the last batch."""

    def forward(self, samples: Tensor) -> Tensor:
        with torch.no_grad():
            feature, final_NK = self.graph(samples)
        self.final_NK = final_NK.float()
        found: Tensor = feature
        return found


class Way(nn.Module):
    """What comes before, and a module that learns behind it."""

    def __init__(self, head: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.head, self.rest = head, rest

    def forward(self, samples: Tensor) -> Tensor:
        logits_NK: Tensor = self.rest(self.head(samples))
        return logits_NK


def _copied(captured: Captured, start: int, stop: int) -> GraphModule:
    names = [[tensor.node for tensor in captured.cuts[place].tensors] for place in (start, stop)]
    return copy.deepcopy(piece(captured.graph, *names))
