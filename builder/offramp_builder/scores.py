"""Branches, and the fused scores that every exit yields beside its logits.

    feature ─► branch ─► logits [N, K] ─► log-softmax(logits / temperature) ─► scores [N, 4]

The columns of the scores are `offramp.bundle.manifest.SCORES`. The graph is kept to nine small operations: at batch 1
each costs about a microsecond, and a branch is asked for every sample.

# N samples, K classes, S scores
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from offramp.bundle.manifest import SCORES
from offramp.errors import ModelError


class BranchNetwork(Protocol):
    """What a branch is: an nn.Module whose forward takes the first tensor of its cut, mostly the only one.

    It returns logits [N, K], or (logits [N, K], own confidence [N] in [0, 1]).
    """

    def __call__(self, *feature: Tensor) -> Tensor | tuple[Tensor, Tensor]: ...


class FusedScores(nn.Module):
    """Logits [N, K], and the branch's own confidence [N] where it has one, to scores [N, 4]."""

    def __init__(self, classes: int, temperature: float, *, own: bool = False) -> None:
        super().__init__()
        if classes < 2:
            raise ModelError(f"scores compare at least two classes, not {classes}; return one logit for each class")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ModelError(f"temperature {temperature} must be a positive number; 1 leaves the logits as they are")
        self.inverse_temperature = 1 / temperature
        # One small product forms all columns from [largest, second largest, Σ p log p, own] at once.
        mix = torch.zeros(3 + own, len(SCORES))
        mix[0, SCORES.index("confidence")] = 1
        mix[0, SCORES.index("margin")], mix[1, SCORES.index("margin")] = 1, -1
        mix[2, SCORES.index("entropy")] = -1 / math.log(classes)
        mix[3 if own else 0, SCORES.index("own")] = 1
        self.register_buffer("mix", mix)

    def forward(self, logits_NK: Tensor, own_N: Tensor | None = None) -> Tensor:
        log_p_NK = torch.log_softmax(logits_NK * self.inverse_temperature, dim=1)
        p_NK = log_p_NK.exp()
        parts = [p_NK.topk(2, dim=1).values, (p_NK * log_p_NK).sum(dim=1, keepdim=True)]
        if own_N is not None:
            parts.append(own_N.unsqueeze(1))
        # Rounding may leave [0, 1] by one unit in the last place.
        return (torch.cat(parts, dim=1) @ self.get_buffer("mix")).clamp(0.0, 1.0)


class ScoredBranch(nn.Module):
    """A branch with its scores: the tensors of a cut to (logits [N, K], scores [N, 4])."""

    def __init__(self, branch: BranchNetwork, classes: int, temperature: float, *, own: bool) -> None:
        super().__init__()
        self.branch = branch
        self.scores = FusedScores(classes, temperature, own=own)

    def forward(self, *feature: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.branch(*feature)
        logits_NK, own_N = answer if isinstance(answer, tuple) else (answer, None)
        return logits_NK, self.scores(logits_NK, own_N)
