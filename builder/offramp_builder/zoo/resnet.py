"""Residual networks (He and others, "Deep Residual Learning for Image Recognition", 2015).

`resnet8`, `resnet20`, … are the CIFAR family of 6n+2 layers, with a projection where the width changes (option B);
`resnet18` is the one for pictures of 224. Parameters are named as torchvision names them, so its weights fit.

# N samples, C channels, H height, W width, K classes
"""

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.zoo.factory import Factory


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if stride != 1 or channels != out
            else None
        )

    def forward(self, feature_NCHW: Tensor) -> Tensor:
        around = feature_NCHW if self.downsample is None else self.downsample(feature_NCHW)
        through = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(feature_NCHW)))))
        return functional.relu(through + around)


class ResNet(nn.Module):
    """A stem, layers of basic blocks that halve height and width from the second on, and a linear classifier."""

    def __init__(
        self, *, channels: int, num_classes: int, widths: tuple[int, ...], depth: int, for_large: bool
    ) -> None:
        """Each layer has `depth` blocks; a stem `for_large` pictures divides height and width by four."""
        super().__init__()
        kernel, stride, padding = (7, 2, 3) if for_large else (3, 1, 1)
        self.conv1 = nn.Conv2d(channels, widths[0], kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1) if for_large else None
        self.layers = [f"layer{number}" for number in range(1, len(widths) + 1)]
        for name, before, width in zip(self.layers, (widths[0], *widths), widths, strict=False):
            stride = 1 if name == "layer1" else 2
            blocks = [BasicBlock(before, width, stride), *(BasicBlock(width, width) for _ in range(depth - 1))]
            self.add_module(name, nn.Sequential(*blocks))
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        feature = functional.relu(self.bn1(self.conv1(image_NCHW)))
        if self.maxpool is not None:
            feature = self.maxpool(feature)
        for name in self.layers:
            feature = self.get_submodule(name)(feature)
        logits_NK: Tensor = self.fc(feature.mean((2, 3)))
        return logits_NK


def resnet_cifar(layers: int) -> Factory:
    """The factory of the CIFAR family's member with `layers` = 6n+2 layers."""
    assert layers >= 8
    assert layers % 6 == 2

    def factory(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
        return ResNet(
            channels=shape[-1], num_classes=num_classes, widths=(16, 32, 64), depth=layers // 6, for_large=False
        )

    return factory


def resnet18(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    return ResNet(channels=shape[-1], num_classes=num_classes, widths=(64, 128, 256, 512), depth=2, for_large=True)
