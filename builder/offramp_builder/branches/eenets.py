"""`eenets`: global pooling, then a softmax branch and a confidence branch, one linear layer each.

                         ┌─► linear ─► logits [N, K]
    feature ─► mean [N, C] ┤
                         └─► linear ─► sigmoid ─► own confidence h [N]

From "EENets: Early-exit CNNs" (2409.05336): each branch learns to answer and learns whether it should. Two steps, as in
the authors' two-stage schedule: the answers alone (their v0), then answers and confidences of all branches together,
against what the samples that stay would cost and hear at the end (v1 or v2, see losses.py).

Ours, where the paper has a trunk that learns too: the end only sets the measure, at its raw logits, and has no
confidence of its own, which nobody would read. It has seen the samples before, and is surer of them than it will be of
others. Costs charge every branch that was executed on the way, where the authors' code charges the last one alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches import losses
from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import mean_variants
from offramp_builder.branches.standardising import fold, standardise


class EENetsBranch:
    """Its own confidence is h: leave where it is above one half."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return mean_variants(
            shape,
            lambda channels: _Head(standardise(channels), nn.Linear(channels, classes), nn.Linear(channels, 1)),
        )

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def joint_loss(self, answers: Sequence[Answer], lesson: Lesson, costs: Sequence[float], /) -> Tensor:
        assert lesson.final_NK is not None
        return losses.eenets(
            [answer[0] for answer in answers],
            [answer[1] for answer in answers],
            lesson.final_NK,
            lesson.truth_N,
            costs,
            weight=lesson.settings.cost_weight,
            every_road=lesson.settings.eenets_loss == "v2",
        )

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, answer, sure = head.children()
        return _Head(nn.Identity(), fold(norm, answer), fold(norm, sure)).eval()


class _Head(nn.Module):
    def __init__(self, norm: nn.Module, answer: nn.Linear, sure: nn.Linear) -> None:
        super().__init__()
        self.norm, self.answer, self.sure = norm, answer, sure

    def forward(self, mean_NC: Tensor) -> tuple[Tensor, Tensor]:
        mean_NC = self.norm(mean_NC)
        return self.answer(mean_NC), torch.sigmoid(self.sure(mean_NC)).squeeze(1)
