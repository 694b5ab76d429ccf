"""Learned bottlenecks with seeded weights: for what needs the way that they lead, and no accuracy.

# N samples, C channels, H height, W width
"""

import torch
from torch import Tensor, nn

from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.capture import Captured
from offramp_builder.graphs import piece


class Narrow(nn.Module):
    """Feature [N, C, H, W] -> code [N, channels, H / 2, W / 2] in [0, 1]."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, channels, 2, stride=2)

    def forward(self, feature_NCHW: Tensor) -> Tensor:
        return torch.sigmoid(3 * self.conv(feature_NCHW))


class Wide(nn.Module):
    """The opposite, with values that are never negative."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, width, 2, stride=2)

    def forward(self, code_NCHW: Tensor) -> Tensor:
        return torch.relu(self.conv(code_NCHW))


def a_bottleneck(
    captured: Captured, position: int, *, name: str = "slim", channels: int = 8, own_tail: bool = False, seed: int = 3
) -> Bottleneck:
    """Around a cut whose tensor is a picture of even sides; its own tail is the network's, with other weights."""
    torch.manual_seed(seed)
    width = captured.cuts[position].tensors[0].spec.shape[0]
    return Bottleneck(
        position=position,
        name=name,
        encoder=Narrow(width, channels).eval(),
        decoder=Wide(width, channels).eval(),
        tail=_another_tail(captured, position) if own_tail else None,
        codecs=("affine4:4+range", "affine4:4", "affine4"),
    )


def _another_tail(captured: Captured, position: int) -> nn.Module:
    ends = [[tensor.node for tensor in captured.cuts[place].tensors] for place in (position, captured.end)]
    tail = piece(captured.graph, *ends)
    for name, parameter in list(tail.named_parameters()):
        owner, _, last = name.rpartition(".")
        setattr(tail.get_submodule(owner), last, nn.Parameter(1.1 * parameter.detach()))
    return tail
