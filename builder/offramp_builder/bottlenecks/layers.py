"""What encoders and decoders are made of: convolutions over however many sides a feature has.

    pictures [C, H, W], signals [C, L]      as they are
    tokens [T, D]                           channels D, places T; a code of them is narrow, never shorter
    flat [C]                                one place

# N samples, C channels, T tokens, D their width
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a feature is read: channels, and places along sides."""

    shape: tuple[int, ...]
    """Of the feature, without the batch."""
    tokens: bool = False

    @property
    def channels(self) -> int:
        return self.shape[-1] if self.tokens else self.shape[0]

    @property
    def sides(self) -> tuple[int, ...]:
        return (self.shape[0],) if self.tokens else self.shape[1:] or (1,)

    @property
    def shrinks(self) -> bool:
        """Whether neighbouring places resemble each other, so that a code may be coarser."""
        return not self.tokens and len(self.shape) > 1

    @property
    def places(self) -> int:
        return math.prod(self.sides)

    def shrunk(self, stride: int) -> tuple[int, ...]:
        """Sides after halving as often as `stride` says, rounded up."""
        return tuple(-(-side // stride) for side in self.sides)

    def inward(self) -> nn.Module:
        """From the feature to [N, C, *sides]."""
        return Transposed() if self.tokens else nn.Identity() if len(self.shape) > 1 else nn.Unflatten(1, (-1, 1))

    def outward(self) -> nn.Module:
        """The opposite."""
        return Transposed() if self.tokens else nn.Identity() if len(self.shape) > 1 else nn.Flatten(1)

    def normed(self, channels: int, out: int, *, stride: int = 1, wide: bool = True) -> list[nn.Module]:
        """A convolution and its normalisation; `wide` sees the neighbours, where there are any that say something."""
        kernel = 3 if wide and self.shrinks else 1
        convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if len(self.sides) == 2 else (nn.Conv1d, nn.BatchNorm1d)
        return [convolution(channels, out, kernel, stride, kernel // 2, bias=False), norm(out)]

    def convolution(self, channels: int, out: int, kernel: int, stride: int = 1) -> nn.Module:
        """With a bias; padded only where it steps from place to place."""
        kind = nn.Conv2d if len(self.sides) == 2 else nn.Conv1d
        return kind(channels, out, kernel, stride, kernel // 2 if stride == 1 else 0)

    def padded(self, stride: int) -> nn.Module:
        """Zeros behind the far edges, up to whole patches."""
        missing = [-side % stride for side in self.sides]
        if not any(missing):
            return nn.Identity()
        last, *others = reversed(missing)
        return nn.ZeroPad2d((0, last, 0, others[0])) if others else nn.ZeroPad1d((0, last))

    def mean(self, stride: int) -> nn.Module:
        """The mean of each patch; those at the far edges may be smaller."""
        kind = nn.AvgPool2d if len(self.sides) == 2 else nn.AvgPool1d
        return kind(stride, ceil_mode=any(side % stride for side in self.sides))


class Transposed(nn.Module):
    """Tokens [N, T, D] to channels [N, D, T], and back."""

    def forward(self, value: Tensor) -> Tensor:
        return value.transpose(1, 2)


class Sum(nn.Module):
    """What several paths say of one value, added up."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, value: Tensor) -> Tensor:
        first, *others = (path(value) for path in self.paths)
        for other in others:
            first = first + other
        found: Tensor = first
        return found


class Fork(nn.Module):
    """What several paths say of one value, side by side."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, value: Tensor) -> tuple[Tensor, ...]:
        return tuple(path(value) for path in self.paths)


class Heeding(nn.Module):
    """A tail, and a voice beside it."""

    def __init__(self, tail: nn.Module) -> None:
        super().__init__()
        self.tail = tail

    def forward(self, feature: Tensor, said_NK: Tensor) -> Tensor:
        logits_NK: Tensor = as_tuple(self.tail(feature))[0] + said_NK
        return logits_NK


class Spread(nn.Module):
    """[N, C · stride per side, *small] to [N, C, *sides]: what a place says of its patch is laid out there.

    Written as reshapes and one transposition, which every runtime has.
    """

    def __init__(self, channels: int, stride: int, small: Sequence[int], sides: Sequence[int]) -> None:
        super().__init__()
        self.channels, self.stride, self.small, self.sides = channels, stride, tuple(small), tuple(sides)

    def forward(self, value: Tensor) -> Tensor:
        sides = len(self.small)
        patches = value.reshape(-1, self.channels, *[self.stride] * sides, *self.small)
        order = [axis for side in range(sides) for axis in (2 + sides + side, 2 + side)]
        whole = patches.permute(0, 1, *order).reshape(-1, self.channels, *(self.stride * side for side in self.small))
        for axis, side in enumerate(self.sides, 2):
            if whole.shape[axis] != side:
                whole = whole.narrow(axis, 0, side)
        return whole


def as_tuple(values: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a module returned, one tensor or several."""
    return (values,) if isinstance(values, Tensor) else tuple(values)


def macs_of(module: nn.Module, shape: Sequence[int]) -> int:
    """Multiply-accumulates for one sample of this shape."""
    was_training = module.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *shape))
    module.train(was_training)
    return int(counter.get_total_flops()) // 2


def folded(module: nn.Module) -> nn.Module:
    """In evaluation mode, batch normalisation gone into the convolution before it."""
    if isinstance(module, Sum):
        return Sum(*(folded(path) for path in module.paths)).eval()
    if isinstance(module, Fork):
        return Fork(*(folded(path) for path in module.paths)).eval()
    if not isinstance(module, nn.Sequential):
        return module.eval()
    parts: list[nn.Module] = []
    for part in module.eval():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and isinstance(parts[-1], nn.Conv1d | nn.Conv2d):
            parts[-1] = nn.utils.fuse_conv_bn_eval(parts[-1], part)
        else:
            parts.append(folded(part))
    return nn.Sequential(*parts).eval()
