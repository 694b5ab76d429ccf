"""What a kind of branch is.

feature ─► pool (nothing to learn: cached once for all samples) ─► head (trained) ─► logits, perhaps a confidence

# N samples, K classes
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from offramp_builder.branches.settings import BranchSettings

Answer = Tensor | tuple[Tensor, Tensor]
"""What a head says: logits [N, K], or those and a confidence [N] of its own in [0, 1]."""


def logits_of(answer: Answer) -> Tensor:
    """[N, K]."""
    return answer[0] if isinstance(answer, tuple) else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build a branch on a feature; where there are several, the best on held-out data is kept."""

    pool: nn.Module
    head: nn.Module
    """From pooled features to an `Answer`, in training and in evaluation mode."""
    epochs: int = 30
    """Passes over the cache that fit the head."""
    cached: torch.dtype = torch.float32
    """What the pooled features are kept in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What the branches are told about a batch, beside its features."""

    truth_N: Tensor
    final_NK: Tensor | None
    """Logits of the whole network; None where neither the kind nor the settings need them."""
    branches: int
    """How many hang on the network."""
    settings: BranchSettings
    step: int = 0
    """How many batches came before, for kinds in which this and that learn by turns."""


class BranchKind(Protocol):
    """Builds branches of one kind, and says what they are fitted to."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> Sequence[Variant]:
        """Fresh variants for a feature of this shape (no batch dimension); none where the kind does not fit."""
        ...

    def loss(self, answer: Answer, lesson: Lesson, index: int, /) -> Tensor:
        """Falls as branch `index` (from 0, of `lesson.branches`) gets better; each is fitted alone."""
        ...

    def finish(self, head: nn.Module, /) -> nn.Module:
        """The trained head as it ships: in evaluation mode, with what only training needed folded away."""
        ...


@runtime_checkable
class JointKind(BranchKind, Protocol):
    """A kind whose branches, once each is fitted alone, are fitted on together: what one learns depends on the rest."""

    def joint_loss(self, answers: Sequence[Answer], lesson: Lesson, costs: Sequence[float], /) -> Tensor:
        """Of all branches, in order; `lesson.final_NK` is given.

        `costs` are those of a sample that leaves at each branch, then at the end, as shares of the operations of the
        network without branches. Every branch that is asked on the way is charged, so the last is above 1.
        """
        ...
