"""`conv`: one 3x3 convolution with stride 2, then global pooling and a linear layer; `conv2`, `conv3`: two and three.

They see shapes where `linear` sees only amounts: worth their operations early in a network whose answer lies in where
things are. Two see twice as far, and stand in for more of the stages that are left out; a third costs little, on what
two have left. Sound and ECG features get the same in one dimension.

# C channels
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import GlobalMean

_WIDTH = 64
_LEAST_SIDE = 4  # a smaller feature has no shapes left to see


class ConvBranch:
    """BranchyNet's (Teerapittayanon and others, 2016), in its least forms. For features [C, H, W] and [C, L]."""

    def __init__(self, convolutions: int = 1) -> None:
        self._convolutions = convolutions

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        if len(shape) not in (2, 3) or min(shape[1:]) < _LEAST_SIDE:
            return []
        # Whole maps: few passes, and half the memory.
        return [
            Variant(pool=nn.Identity(), head=_head(shape, classes, self._convolutions), epochs=8, cached=torch.bfloat16)
        ]

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def finish(self, head: nn.Module, /) -> nn.Module:
        return head.eval()


def _head(shape: tuple[int, ...], classes: int, convolutions: int) -> nn.Module:
    middle = [max(_WIDTH // 2, shape[0])] if convolutions > 1 else []
    widths = [shape[0], *middle, *[_WIDTH] * (convolutions - len(middle))]
    steps = [step for before, width in pairwise(widths) for step in _convolved(before, width, flat=len(shape) == 3)]
    return nn.Sequential(*steps, GlobalMean(1, len(shape) + 1), nn.Linear(_WIDTH, classes))


def _convolved(channels: int, width: int, *, flat: bool) -> tuple[nn.Module, ...]:
    convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if flat else (nn.Conv1d, nn.BatchNorm1d)
    return convolution(channels, width, 3, 2, 1, bias=False), norm(width), nn.ReLU()
