"""MobileNetV2 (Sandler and others, 2018): inverted residuals around depthwise convolutions.

Parameters are named as torchvision names them, so its weights fit.

# N samples, C channels, H height, W width, K classes
"""

from torch import Tensor, nn

# (expansion, channels, blocks, stride of the first block): table 2 of the paper
_LAYERS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; around it where the shape stays."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        widen = [_conv(channels, hidden, kernel=1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *widen,
            _conv(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.has_way_around = stride == 1 and channels == out

    def forward(self, feature_NCHW: Tensor) -> Tensor:
        through: Tensor = self.conv(feature_NCHW)
        return feature_NCHW + through if self.has_way_around else through


class MobileNetV2(nn.Module):
    """17 inverted residuals between a stem and a wide last convolution."""

    def __init__(self, num_classes: int, channels: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_conv(channels, 32, stride=2)]
        before = 32
        for expansion, width, count, stride in _LAYERS:
            for number in range(count):
                blocks.append(InvertedResidual(before, width, stride if number == 0 else 1, expansion))
                before = width
        self.features = nn.Sequential(*blocks, _conv(before, 1280, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.classifier(self.features(image_NCHW).mean((2, 3)))
        return logits_NK


def mobilenet_v2(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    return MobileNetV2(num_classes, shape[-1])


def _conv(channels: int, out: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU6())
