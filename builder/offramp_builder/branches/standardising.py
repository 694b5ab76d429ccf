"""Standardised features, while a head is fitted; folded into its first layer when it ships.

Features differ in scale by orders of magnitude; standardised, heads train in seconds.
"""

import torch
from torch import Tensor, nn


def standardise(channels: int) -> nn.BatchNorm1d:
    """[N, C] to the same with mean 0 and deviation 1, over all that training has seen."""
    return nn.BatchNorm1d(channels, affine=False, momentum=None)


def shift_and_scale(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """(mean, factor) of each channel: what a trained `standardise` does is `(x - mean) * factor`."""
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, (norm.running_var + norm.eps).rsqrt()


def fold(norm: nn.Module, linear: nn.Module) -> nn.Linear:
    """One layer that does what both do one after the other."""
    assert isinstance(linear, nn.Linear)
    mean, factor = shift_and_scale(norm)
    folded = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        folded.weight.copy_(linear.weight * factor)
        folded.bias.copy_(linear.bias - folded.weight @ mean)
    return folded.eval()
