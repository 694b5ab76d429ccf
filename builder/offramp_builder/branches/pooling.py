"""Global pooling: the mean over everything but the batch and the channels."""

from torch import Tensor, nn


class GlobalMean(nn.Module):
    """[N, …, C, …] to [N, C], the channels being at `axis`: 1 for convolutions, -1 for tokens."""

    def __init__(self, axis: int, dimensions: int) -> None:
        """`dimensions` counts those of the feature with its batch."""
        super().__init__()
        kept = {0, axis % dimensions}
        self.over = [dimension for dimension in range(dimensions) if dimension not in kept]

    def forward(self, feature: Tensor) -> Tensor:
        return feature.float().mean(self.over) if self.over else feature.float()


def channel_axes(shape: tuple[int, ...]) -> list[int]:
    """Where the channels of a feature of this shape may be; one place where there is no doubt."""
    return [1] if len(shape) == 1 else [1, -1]
