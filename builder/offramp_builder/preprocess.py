"""From cut 0 to what the network takes: layout and normalisation, as the first part of stage 0.

    image  uint8   [N, H, W, C] ─► float32 [N, C, H, W], (x / 255 - mean) / std
    audio  int16   [N, L]       ─► float32 [N, L] in [-1, 1)
    ecg    float32 [N, L]       ─► float32 [N, 1, L]
    array  any     [N, …]       ─► the same

Both ends run this very module, so a picture that is sent as it is and one that is read on the device meet the same
arithmetic.

# N samples, H height, W width, C channels, L length in time
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp.registry import unknown

# (dimensions without the batch, dtype) that each kind of sample has
_EXPECTED = {"image": (3, "uint8"), "audio": (1, "int16"), "ecg": (1, "float32")}
_KINDS = [*_EXPECTED, "array"]


class ImageInput(nn.Module):
    """[N, H, W, C] uint8 to [N, C, H, W] float32, normalised per channel."""

    def __init__(self, mean_C: Sequence[float], std_C: Sequence[float]) -> None:
        super().__init__()
        mean, std = torch.tensor(mean_C, dtype=torch.float64), torch.tensor(std_C, dtype=torch.float64)
        # One multiply and one add instead of three operations: (x / 255 - mean) / std = x · scale + shift.
        self.register_buffer("scale", (1 / (255 * std)).float().view(1, -1, 1, 1))
        self.register_buffer("shift", (-mean / std).float().view(1, -1, 1, 1))

    def forward(self, sample: Tensor) -> Tensor:
        image_NCHW = sample.permute(0, 3, 1, 2).to(torch.float32)
        return image_NCHW * self.get_buffer("scale") + self.get_buffer("shift")


class AudioInput(nn.Module):
    """[N, L] int16 to [N, L] float32 in [-1, 1)."""

    def forward(self, sample: Tensor) -> Tensor:
        return sample.to(torch.float32) * (1 / 32768)


class EcgInput(nn.Module):
    """[N, L] float32 to [N, 1, L]: one lead."""

    def forward(self, sample: Tensor) -> Tensor:
        return sample.unsqueeze(1)


class ArrayInput(nn.Module):
    """The sample as it is."""

    def forward(self, sample: Tensor) -> Tensor:
        return sample


def preprocessor(spec: SampleSpec, *, mean: Sequence[float] = (), std: Sequence[float] = ()) -> nn.Module:
    """The module that turns raw samples of this kind into the network's input.

    Args:
        spec: What a raw sample looks like.
        mean: Per channel, of values in [0, 1]; images alone have it. Empty: 0.
        std: Per channel, of values in [0, 1]; images alone have it. Empty: 1.

    Raises:
        ModelError: An unknown kind, a shape or dtype that the kind does not have, or means that fit no channel.
    """
    if spec.kind not in _KINDS:
        raise ModelError(unknown("kind of sample", spec.kind, _KINDS))
    if spec.kind in _EXPECTED and (len(spec.shape), spec.dtype) != _EXPECTED[spec.kind]:
        dimensions, dtype = _EXPECTED[spec.kind]
        raise ModelError(
            f"a sample of kind {spec.kind} is {dtype} with {dimensions} dimension(s), not {spec.dtype} {spec.shape}; "
            f"convert the data, or call its kind array"
        )
    if spec.kind != "image" and (mean or std):
        raise ModelError(f"mean and std belong to images; the sample is of kind {spec.kind}: leave them out")
    match spec.kind:
        case "image":
            return ImageInput(*_per_channel(spec.shape[2], mean, std))
        case "audio":
            return AudioInput()
        case "ecg":
            return EcgInput()
        case _:
            return ArrayInput()


def _per_channel(channels: int, mean: Sequence[float], std: Sequence[float]) -> tuple[list[float], list[float]]:
    mean_C, std_C = list(mean) or [0.0] * channels, list(std) or [1.0] * channels
    for name, values in (("mean", mean_C), ("std", std_C)):
        if len(values) != channels:
            raise ModelError(f"{name} has {len(values)} value(s) for images of {channels} channel(s); give one each")
    if min(std_C) <= 0:
        raise ModelError(f"std {std_C} must be positive; give the standard deviation of values in [0, 1]")
    return mean_C, std_C
