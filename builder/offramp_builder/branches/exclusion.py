"""`exclusion`: pooling to one value for each channel or to 2 x 2, one linear layer, and a sigmoid for each class.

From "Early-Exit with Class Exclusion" (2309.13443): a class whose sigmoid is far below the largest is excluded, and
who has one class left may leave. The logits are those of the sigmoids, so the policy has the sigmoids from them; the
fused scores take their softmax at the calibrated temperature, like those of any other kind. The branch's own confidence
is the largest sigmoid.

The paper's "expansion", 1 or 2, is found by trying both. Deeper branches weigh more in the paper's sum of losses,
1/(L + 1) for the first of L up to 1/2 for the last; that matters where the trunk learns too. Here each branch is fitted
alone by an optimizer that measures its own steps, and the weights change next to nothing.
"""

import torch
from torch import Tensor, nn

from offramp_builder.branches import losses
from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import GridMean, mean_variants
from offramp_builder.branches.standardising import fold, standardise


class ExclusionBranch:
    """One opinion for each class, that need not add up to 1."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        variants = mean_variants(shape, lambda channels: _head(channels, classes))
        if len(shape) in (2, 3) and min(shape[1:]) >= 2:
            pool = GridMean(shape)
            variants.append(Variant(pool=pool, head=_head(pool.width, classes)))
        return variants

    def loss(self, answer: Answer, lesson: Lesson, index: int, /) -> Tensor:
        return losses.class_exclusion(logits_of(answer), lesson.truth_N) / (lesson.branches - index + 1)

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, linear = head.children()
        return _Head(nn.Identity(), fold(norm, linear)).eval()


def _head(channels: int, classes: int) -> nn.Module:
    return _Head(standardise(channels), nn.Linear(channels, classes))


class _Head(nn.Module):
    def __init__(self, norm: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.norm, self.linear = norm, linear

    def forward(self, pooled_NC: Tensor) -> tuple[Tensor, Tensor]:
        logits_NK = self.linear(self.norm(pooled_NC))
        return logits_NK, torch.sigmoid(logits_NK.amax(dim=1))
