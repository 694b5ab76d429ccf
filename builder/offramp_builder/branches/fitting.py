"""Fitting heads to cached features: each alone, then all together where their kind asks for it.

# N samples, K classes, R rows
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from offramp_builder.branches.kind import Answer, BranchKind, JointKind, Lesson, Variant, logits_of
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.training.distilling import distillation
from offramp_builder.training.processor import has_bfloat16

_RATE, _DECAY = 3e-3, 1e-4
BATCH, _LEAST_BATCH = 256, 32
_STEPS = 16  # a pass, where there are few samples: in batches of 256 their weights would stop where they began
_ENOUGH = 1_500  # steps for one head: where there are many samples, larger batches take no longer, and teach as much


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pupil:
    """A variant, and its cached features [N, …]."""

    variant: Variant
    feature_N: Tensor

    def answer(self, rows_R: Tensor) -> Answer:
        """To the samples of these rows."""
        half = self.variant.cached is torch.bfloat16 and has_bfloat16()
        feature = self.feature_N[rows_R]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            answer = self.variant.head(feature if half else feature.float())
        return (answer[0].float(), answer[1].float()) if isinstance(answer, tuple) else answer.float()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """What branches of a kind are told, batch by batch."""

    kind: BranchKind
    truth_N: Tensor
    branches: int
    settings: BranchSettings

    @property
    def final(self) -> bool:
        """Whether branches learn from what the end of the network says, which takes running it to its end."""
        return self.settings.distill > 0 or isinstance(self.kind, JointKind)

    def of(self, rows_R: Tensor, final_RK: Tensor | None, step: int) -> Lesson:
        """That of these rows, of which the whole network said so."""
        return Lesson(
            truth_N=self.truth_N[rows_R],
            final_NK=final_RK,
            branches=self.branches,
            settings=self.settings,
            step=step,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Teacher:
    """What is known of all samples, and how branches of a kind learn from it."""

    lessons: Lessons
    final_NK: Tensor | None
    """Logits of the whole network, where lessons need them."""
    seed: int
    """Of the order of the samples, and of what heads draw while they are fitted: equal calls fit equal heads."""

    def teach(self, pupil: Pupil, rows_R: Tensor, index: int) -> None:
        """Fit branch `index` alone to the samples of these rows."""

        def loss(rows_R: Tensor, step: int) -> Tensor:
            lesson, answer = self._lesson(rows_R, step), pupil.answer(rows_R)
            return with_distillation(self.lessons.kind.loss(answer, lesson, index), [answer], lesson)

        self._fit([pupil], rows_R, loss, most=_ENOUGH)

    def teach_together(self, pupils: Sequence[Pupil], costs: Sequence[float]) -> None:
        """Fit all branches of a `JointKind` further, to all samples; `costs` are those that its loss asks for."""
        kind = self.lessons.kind
        assert isinstance(kind, JointKind)

        def loss(rows_R: Tensor, step: int) -> Tensor:
            lesson, answers = self._lesson(rows_R, step), [pupil.answer(rows_R) for pupil in pupils]
            return with_distillation(kind.joint_loss(answers, lesson, costs), answers, lesson)

        self._fit(pupils, torch.arange(len(self.lessons.truth_N)), loss)

    def accuracy(self, pupil: Pupil, rows_R: Tensor) -> float:
        """Share of the samples of these rows that a fitted pupil gets right, in full precision."""
        with torch.no_grad():
            logits_RK = logits_of(pupil.variant.head(pupil.feature_N[rows_R].float()))
        return float((logits_RK.argmax(1) == self.lessons.truth_N[rows_R]).float().mean())

    def _lesson(self, rows_R: Tensor, step: int) -> Lesson:
        return self.lessons.of(rows_R, None if self.final_NK is None else self.final_NK[rows_R], step)

    def _fit(
        self,
        pupils: Sequence[Pupil],
        rows_R: Tensor,
        loss: Callable[[Tensor, int], Tensor],
        *,
        most: int | None = None,
    ) -> None:
        """In at most so many steps, where a number is given."""
        torch.manual_seed(self.seed)
        order = torch.Generator().manual_seed(self.seed)
        heads = nn.ModuleList(pupil.variant.head for pupil in pupils)
        epochs = max(pupil.variant.epochs for pupil in pupils)
        batch = min(BATCH, max(_LEAST_BATCH, len(rows_R) // _STEPS))
        batch = max(batch, math.ceil(epochs * len(rows_R) / most)) if most else batch
        steps = max(1, len(rows_R) // batch)
        optimizer, schedule = optimizer_of(heads, epochs * steps)
        heads.train()
        for epoch in range(epochs):
            order_R = rows_R[torch.randperm(len(rows_R), generator=order)]
            for step in range(steps):
                value = loss(order_R[step * batch : (step + 1) * batch], epoch * steps + step)
                optimizer.zero_grad(set_to_none=True)
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        heads.eval()


def with_distillation(own: Tensor, answers: Sequence[Answer], lesson: Lesson) -> Tensor:
    """The kind's own loss, and as much as the settings say of what the end of the network said."""
    share = lesson.settings.distill
    if not share:
        return own
    assert lesson.final_NK is not None
    told = [distillation(logits_of(answer), lesson.final_NK, lesson.settings.distill_temperature) for answer in answers]
    return (1 - share) * own + share * torch.stack(told).sum()


def optimizer_of(heads: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """What fits heads in so many steps."""
    optimizer = torch.optim.AdamW(heads.parameters(), lr=_RATE, weight_decay=_DECAY, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
