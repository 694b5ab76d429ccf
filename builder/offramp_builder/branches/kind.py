"""What a kind of branch is.

feature ─► pool (nothing to learn: cached once for all samples) ─► head (trained) ─► logits [N, K]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build a branch on a feature; where there are several, the best on held-out data is kept."""

    pool: nn.Module
    head: nn.Module
    epochs: int = 30
    """Passes over the cache that fit the head."""
    cached: torch.dtype = torch.float32
    """What the pooled features are kept in."""


class BranchKind(Protocol):
    """Builds branches of one kind."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> Sequence[Variant]:
        """Fresh variants for a feature of this shape (no batch dimension); none where the kind does not fit."""
        ...

    def finish(self, head: nn.Module, /) -> nn.Module:
        """The trained head as it ships: in evaluation mode, with what only training needed folded away."""
        ...
