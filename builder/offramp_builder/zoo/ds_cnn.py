"""DS-CNN for spoken words (Zhang and others, "Hello Edge: Keyword Spotting on Microcontrollers", 2017).

    second of sound [N, L] ─ frames and their spectrum ─ mel bands ─ log ─ [N, 1, T, F] ─ depthwise blocks ─ classifier

The spectrum is a strided convolution with cosines and sines: it exports as one operation, where an STFT does not, and
whoever cuts behind it needs no sound library.

# N samples, L samples of sound, T frames, B frequency bins, F mel bands, C channels, K classes
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from offramp.errors import ModelError

_RATE = 16_000  # samples a second
_WINDOW, _HOP = 400, 320  # 25 ms every 20 ms
_BANDS = 40
_LOWEST, _HIGHEST = 20.0, 7_600.0  # hertz


class LogMel(nn.Module):
    """Sound [N, L] in [-1, 1) to the logarithm of its energy in mel bands [N, 1, T, F]."""

    def __init__(self) -> None:
        super().__init__()
        time_L = torch.arange(_WINDOW, dtype=torch.float64)
        bin_B = torch.arange(_WINDOW // 2 + 1, dtype=torch.float64)
        angle_BL = 2 * math.pi / _WINDOW * bin_B[:, None] * time_L
        hann_L = 0.5 - 0.5 * torch.cos(2 * math.pi / _WINDOW * time_L)
        waves = torch.cat([torch.cos(angle_BL), -torch.sin(angle_BL)]) * hann_L
        self.spectrum = nn.Conv1d(1, len(waves), _WINDOW, _HOP, bias=False)
        self.spectrum.weight = nn.Parameter(waves.float()[:, None], requires_grad=False)
        self.register_buffer("mel_FB", _mel_bands(bin_B * _RATE / _WINDOW).float())

    def forward(self, sound_NL: Tensor) -> Tensor:
        real_NBT, imaginary_NBT = self.spectrum(sound_NL.unsqueeze(1)).chunk(2, dim=1)
        power_NBT = real_NBT * real_NBT + imaginary_NBT * imaginary_NBT
        mel_NFT = self.get_buffer("mel_FB") @ power_NBT
        # -13.8 for silence, about 4 for a loud voice; scaled to the order of 1.
        return (torch.log(mel_NFT + 1e-6).transpose(1, 2).unsqueeze(1) + 4.0) * 0.25


class DsCnn(nn.Module):
    """The paper's small model: a wide first convolution and four depthwise separable blocks of 64 channels."""

    def __init__(self, num_classes: int, channels: int = 64) -> None:
        super().__init__()
        self.front = LogMel()
        self.stem = _step(nn.Conv2d(1, channels, (10, 4), 2, (4, 1), bias=False))
        blocks = ((f"block{number}", _separable(channels)) for number in range(1, 5))
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, sound_NL: Tensor) -> Tensor:
        feature = self.blocks(self.stem(self.front(sound_NL)))
        logits_NK: Tensor = self.classifier(self.dropout(feature.mean((2, 3))))
        return logits_NK


def ds_cnn(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    if len(shape) != 1 or shape[0] < 10 * _HOP:
        raise ModelError(f"ds_cnn takes sound of at least {10 * _HOP} samples at 16 kHz, not a sample of shape {shape}")
    return DsCnn(num_classes)


def _separable(channels: int) -> nn.Sequential:
    depthwise = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return nn.Sequential(OrderedDict(depthwise=_step(depthwise), pointwise=_step(pointwise)))


def _step(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())


def _mel_bands(hertz_B: Tensor) -> Tensor:
    """Triangles [F, B], evenly spaced on the mel scale (2595 log10(1 + f / 700))."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    corners = 700 * (10 ** (torch.linspace(lowest, highest, _BANDS + 2, dtype=torch.float64) / 2595) - 1)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (hertz_B - left) / (centre - left), (right - hertz_B) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0)
