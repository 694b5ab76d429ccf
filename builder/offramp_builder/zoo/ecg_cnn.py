"""A 1-D residual network for ECG beats: one lead, a window around the beat.

# N samples, C channels, L length in time, K classes
"""

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from offramp.errors import ModelError


class EcgBlock(nn.Module):
    """Two convolutions over time and a way around them."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, out, 7, stride, 3, bias=False)
        self.bn1 = nn.BatchNorm1d(out)
        self.conv2 = nn.Conv1d(out, out, 7, 1, 3, bias=False)
        self.bn2 = nn.BatchNorm1d(out)
        self.around = nn.Conv1d(channels, out, 1, stride) if stride != 1 or channels != out else nn.Identity()

    def forward(self, feature_NCL: Tensor) -> Tensor:
        through = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(feature_NCL)))))
        return functional.relu(through + self.around(feature_NCL))


class EcgCnn(nn.Module):
    """A stem and four blocks, each halving the length."""

    def __init__(self, num_classes: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, width, 9, 1, 4, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        sizes = [width, width, 2 * width, 2 * width, 4 * width]
        blocks = (EcgBlock(before, after, 2) for before, after in pairwise(sizes))
        self.blocks = nn.Sequential(OrderedDict((f"block{number}", block) for number, block in enumerate(blocks, 1)))
        self.classifier = nn.Linear(sizes[-1], num_classes)

    def forward(self, lead_N1L: Tensor) -> Tensor:
        logits_NK: Tensor = self.classifier(self.blocks(self.stem(lead_N1L)).mean(2))
        return logits_NK


def ecg_cnn(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    if len(shape) != 1 or shape[0] < 32:
        raise ModelError(f"ecg_cnn takes a window of at least 32 values of one lead, not a sample of shape {shape}")
    return EcgCnn(num_classes)
