"""`conv`: one 3x3 convolution with stride 2, then global pooling and a linear layer.

It sees shapes where `linear` sees only amounts: worth its operations early in a network whose answer lies in where
things are. Sound and ECG features get the same in one dimension.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import GlobalMean

_WIDTH = 64
_LEAST_SIDE = 4  # a smaller feature has no shapes left to see


class ConvBranch:
    """BranchyNet's (Teerapittayanon and others, 2016), in its least form. For features [C, H, W] and [C, L]."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        if len(shape) not in (2, 3) or min(shape[1:]) < _LEAST_SIDE:
            return []
        # Whole maps: few passes, and half the memory.
        return [Variant(pool=nn.Identity(), head=_head(shape, classes), epochs=8, cached=torch.bfloat16)]

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def finish(self, head: nn.Module, /) -> nn.Module:
        return head.eval()


def _head(shape: tuple[int, ...], classes: int) -> nn.Module:
    convolution: nn.Module
    norm: nn.Module
    if len(shape) == 3:
        convolution = nn.Conv2d(shape[0], _WIDTH, 3, 2, 1, bias=False)
        norm = nn.BatchNorm2d(_WIDTH)
    else:
        convolution = nn.Conv1d(shape[0], _WIDTH, 3, 2, 1, bias=False)
        norm = nn.BatchNorm1d(_WIDTH)
    pool = GlobalMean(1, len(shape) + 1)
    return nn.Sequential(convolution, norm, nn.ReLU(), pool, nn.Linear(_WIDTH, classes))
