"""What a bottleneck's training makes small.

    answers    (1 - distill) cross-entropy + distill T² KL(unchanged network ‖ detour)
    features   how far decoded features are from those of the cut, as a share of their variance; behind stages of its
               own, from what the unchanged stages say there
    bytes      what a learned prior says that the code takes

# N samples, K classes
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.bottlenecks.detour import Detour
from offramp_builder.bottlenecks.kind import Step
from offramp_builder.bottlenecks.quantise import Histogram
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.training.distilling import distillation
from offramp_builder.training.objective import Batch, Objective

_LEAST = 1e-6  # variance of features that hardly vary


class Answers(Objective):
    """The labels, and what the unchanged network says."""

    def __init__(self, final: Callable[[Batch], Tensor], settings: BottleneckSettings) -> None:
        super().__init__()
        self._final, self._settings = final, settings

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        settings = self._settings
        final_NK = self._final(batch).to(logits_NK.device)
        told = distillation(logits_NK, final_NK, settings.distill_temperature)
        labels = functional.cross_entropy(logits_NK, batch.truth_N, label_smoothing=settings.smoothing)
        return (1 - settings.distill) * labels + settings.distill * told


class Taught(Answers):
    """What a step of a kind asks for.

    Features are measured against the unchanged network's, as in BottleFit, never against what stages of the
    bottleneck's own yield: those learn, and would be rewarded for yielding what is easily decoded.
    """

    def __init__(
        self,
        detour: Detour,
        final: Callable[[Batch], Tensor],
        settings: BottleneckSettings,
        step: Step,
        prior: Histogram,
        unchanged: nn.Module | None = None,
    ) -> None:
        """`unchanged` leads from the features that the detour is given to those that it decodes; None: they are the
        same.
        """
        super().__init__(final, settings)
        self._detour = [detour]  # in a list: it is trained as the road, not as a part of this module too
        self._step = step
        self.prior = prior if step.bytes else None
        self.unchanged = unchanged

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        (detour,), step = self._detour, self._step
        assert detour.heard is not None
        feature, code, decoded = (value.float() for value in detour.heard)
        terms = []
        if step.features:
            meant = feature if self.unchanged is None else self.unchanged(feature).float()
            terms.append(step.features * self._settings.features * _distance(decoded, meant))
        if step.answers:
            terms.append(super().loss(logits_NK, batch))
        if self.prior is not None:
            terms.append(self._settings.byte_weight * self.prior.bytes_of(code).mean())
        return torch.stack(terms).sum()


def _distance(decoded: Tensor, feature: Tensor) -> Tensor:
    return functional.mse_loss(decoded, feature) / feature.var().clamp_min(_LEAST)
