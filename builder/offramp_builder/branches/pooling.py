"""Pooling: means over everything but the batch and the channels.

# N samples, C channels
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Variant


class GlobalMean(nn.Module):
    """[N, …, C, …] to [N, C], the channels being at `axis`: 1 for convolutions, -1 for tokens."""

    def __init__(self, axis: int, dimensions: int) -> None:
        """`dimensions` counts those of the feature with its batch."""
        super().__init__()
        kept = {0, axis % dimensions}
        self.over = [dimension for dimension in range(dimensions) if dimension not in kept]

    def forward(self, feature: Tensor) -> Tensor:
        return feature.float().mean(self.over) if self.over else feature.float()


class GridMean(nn.Module):
    """Means over halves: [N, C, L] to [N, 2 C], or quarters: [N, C, H, W] to [N, 4 C]; at least two values a side.

    Halves of an odd side share the value in the middle, as in adaptive pooling.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        """`shape` is that of the feature without its batch: (C, L) or (C, H, W)."""
        super().__init__()
        self.halved = [((side + 1) // 2, side // 2) for side in shape[1:]]
        """Size and step of the window along each side."""
        self.width = shape[0] * 2 ** len(self.halved)

    def forward(self, feature: Tensor) -> Tensor:
        if len(self.halved) == 1:
            ((size, step),) = self.halved
            return functional.avg_pool1d(feature.float(), size, step).flatten(1)
        (height, down), (width, across) = self.halved
        return functional.avg_pool2d(feature.float(), (height, width), (down, across)).flatten(1)


def mean_variants(shape: tuple[int, ...], head: Callable[[int], nn.Module]) -> list[Variant]:
    """A variant with `head(channels)` for each axis where the channels may be: first or last is found by trying."""
    return [
        Variant(pool=GlobalMean(axis, len(shape) + 1), head=head(([0, *shape])[axis])) for axis in channel_axes(shape)
    ]


def channel_axes(shape: tuple[int, ...]) -> list[int]:
    """Where the channels of a feature of this shape may be; one place where there is no doubt."""
    return [1] if len(shape) == 1 else [1, -1]
