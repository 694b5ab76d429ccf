"""Bottlenecks that learn together with the network before them, which so learns to say what can be sent.

    heard at the cut ─► encoder ─► code, at rates drawn anew ─► decoder ─► a tail of its own ─► joint loss

# N samples, K classes
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offramp_builder.bottlenecks.catalog import BOTTLENECK_KINDS
from offramp_builder.bottlenecks.kind import Step
from offramp_builder.bottlenecks.quantise import Histogram
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.bottlenecks.taught import Taught
from offramp_builder.bottlenecks.training import Begun
from offramp_builder.capture import Captured
from offramp_builder.training.listening import Place, place_at
from offramp_builder.training.objective import Batch

_PARTS = ("encoder", "decoder", "tail")


class Narrowing(nn.Module):
    """The detours, and how strongly the network before them follows their answers."""

    def __init__(self, captured: Captured, begun: Sequence[Begun], settings: BottleneckSettings) -> None:
        super().__init__()
        self.begun = tuple(begun)
        self.places: list[Place] = place_at(captured, [one.position for one in begun])
        """Where the features are heard that they begin with."""
        self._lessons = [(one.detour, self._taught(one, settings)) for one in begun]
        self.learning = nn.ModuleList(module for lesson in self._lessons for module in lesson)
        self._share = settings.together
        self._final_NK = torch.empty(0)

    def loss(self, features: Sequence[Tensor], final_NK: Tensor, batch: Batch) -> Tensor:
        """Of the features heard at `places`; the network's own answers teach, and do not learn from it.

        Detours learn at full strength, whatever of their gradients reaches the network.
        """
        self._final_NK = final_NK.detach()
        total = final_NK.new_zeros(())
        for (detour, taught), feature in zip(self._lessons, features, strict=True):
            still = feature.detach()
            logits_NK = detour(still + self._share * (feature - still)).float()
            total = total + taught.loss(logits_NK, batch)
        return total

    def _taught(self, begun: Begun, settings: BottleneckSettings) -> Taught:
        detour = begun.detour
        detour.learn(_PARTS)
        # Features need not come back as they were, where those at the cut and the tail behind both learn.
        counted = any(step.bytes for step in BOTTLENECK_KINDS[begun.request.kind].steps())
        step = Step(name="together", share=1.0, learn=_PARTS, features=0.0, bytes=counted)
        prior = Histogram(detour.rates.sent[-1], max(detour.rates.bits))
        return Taught(detour, lambda _batch: self._final_NK, settings, step, prior)
