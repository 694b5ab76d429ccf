"""`linear`: global pooling and one linear layer; a few hundred multiply-accumulates."""

import torch
from torch import nn

from offramp_builder.branches.kind import Variant
from offramp_builder.branches.pooling import GlobalMean, channel_axes


class LinearBranch:
    """The channel axis is found by trying: first or last."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return [
            Variant(pool=GlobalMean(axis, len(shape) + 1), head=_head(([0, *shape])[axis], classes))
            for axis in channel_axes(shape)
        ]

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, linear = head.children()
        assert isinstance(norm, nn.BatchNorm1d)
        assert isinstance(linear, nn.Linear)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        folded = nn.Linear(linear.in_features, linear.out_features)
        with torch.no_grad():
            folded.weight.copy_(linear.weight * (norm.running_var + norm.eps).rsqrt())
            folded.bias.copy_(linear.bias - folded.weight @ norm.running_mean)
        return folded.eval()


def _head(channels: int, classes: int) -> nn.Module:
    # Features differ in scale by orders of magnitude; standardised they train in seconds. Folded into the layer later.
    return nn.Sequential(nn.BatchNorm1d(channels, affine=False, momentum=None), nn.Linear(channels, classes))
