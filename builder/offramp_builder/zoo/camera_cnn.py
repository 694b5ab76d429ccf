"""The network of the demo: a small residual network that narrows quickly.

    frame 96x96x3 ─ stem 48x48x16 ─ wide 24x24x24 ─ middle 12x12x40 (four blocks) ─ narrow 6x6x96 (two) ─ classifier

Its first features are far larger than a JPEG of the frame, its later ones, quantised and packed, about as large: where
to split is a real question.

# N samples, C channels, H height, W width, K classes
"""

from collections import OrderedDict

from torch import Tensor, nn

from offramp_builder.zoo.resnet import BasicBlock


class CameraCnn(nn.Module):
    """34 million multiply-accumulates at 96x96."""

    def __init__(self, num_classes: int, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.wide = BasicBlock(16, 24, stride=2)
        self.middle = _blocks(24, 40, count=4)
        self.narrow = _blocks(40, 96, count=2)
        self.classifier = nn.Linear(96, num_classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        feature = self.narrow(self.middle(self.wide(self.stem(image_NCHW))))
        logits_NK: Tensor = self.classifier(feature.mean((2, 3)))
        return logits_NK


def _blocks(channels: int, out: int, *, count: int) -> nn.Sequential:
    """The first block halves height and width."""
    blocks = [BasicBlock(channels, out, stride=2)] + [BasicBlock(out, out) for _ in range(count - 1)]
    return nn.Sequential(OrderedDict((f"block{number}", block) for number, block in enumerate(blocks, 1)))


def camera_cnn(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    return CameraCnn(num_classes, shape[-1])
