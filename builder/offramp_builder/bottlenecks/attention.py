"""`attention`: the channels of the cut that matter most are sent as they are, after AECNN (arXiv 2211.13745).

    ranking   weights of channels, from what is in them, learn what the answers need; their mean is the rank
    decoder   from the best channels, quantised, back to the feature
    answers   decoder and tail learn on

The paper's abstract has the idea; sizes and order of steps are ours. The encoder costs next to nothing, and needs more
bytes than one that mixes channels.

# N samples, C channels of the cut, K of the code
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.bottlenecks.convolved import decoder
from offramp_builder.bottlenecks.kind import Design, Place, Step, stride_for
from offramp_builder.bottlenecks.layers import Form

_CHANNELS, _PLACES = 8, 256
_QUANTILE = 0.9987
"""Of a channel's values, that its code ends at: what is larger reads as this (three deviations of a normal)."""
_LEAST = 1e-3
"""Width of a channel that never moves."""


class Attention:
    nested = False
    bits: tuple[int, ...] = (4,)

    def design(self, place: Place, /) -> Design:
        form = place.form
        channels = place.channels or min(_CHANNELS, form.channels)
        if channels > form.channels:
            raise ModelError(
                f"{place.name} has {form.channels} channels, of which {channels} cannot be sent; ask for fewer, or for "
                f"another kind, which makes its own"
            )
        stride = stride_for(form, place.stride, most=_PLACES)
        best = torch.argsort(place.rank(), descending=True, stable=True)[:channels]
        encoder = Kept(form, best, stride)
        encoder.calibrate(place.sample)
        return Design(encoder=encoder, decoder=decoder(place, encoder, channels, stride), channels=channels)

    def steps(self) -> Sequence[Step]:
        return [
            Step(name="decoder", share=0.4, learn=("decoder",), answers=False, features=10.0),
            Step(name="answers", share=0.6, learn=("decoder", "tail")),
        ]


class Kept(nn.Module):
    """Some channels, brought into [0, 1] by ranges of their own; the mean of patches where there is a stride."""

    def __init__(self, form: Form, channels: Tensor, stride: int) -> None:
        super().__init__()
        self.inward = form.inward()
        self.shrink = form.mean(stride) if stride > 1 else nn.Identity()
        self.register_buffer("channels", channels)
        spread = (-1, *[1] * len(form.sides))
        self.register_buffer("low", torch.zeros(len(channels)).view(spread))
        self.register_buffer("width", torch.ones(len(channels)).view(spread))

    def calibrate(self, feature: Tensor) -> None:
        """Take each channel's range from some features."""
        values_KM = self._chosen(feature).transpose(0, 1).flatten(1).double()
        low_K, high_K = (
            torch.quantile(values_KM[:, :: _step(values_KM)], end, dim=1) for end in (1 - _QUANTILE, _QUANTILE)
        )
        low_K = torch.where(values_KM.amin(1) >= 0, torch.zeros_like(low_K), low_K)
        for name, value in (("low", low_K), ("width", (high_K - low_K).clamp_min(_LEAST))):
            self.get_buffer(name).copy_(value.view_as(self.get_buffer(name)))

    def forward(self, feature: Tensor) -> Tensor:
        return ((self._chosen(feature) - self.get_buffer("low")) / self.get_buffer("width")).clamp(0, 1)

    def _chosen(self, feature: Tensor) -> Tensor:
        chosen: Tensor = self.shrink(self.inward(feature).index_select(1, self.get_buffer("channels")))
        return chosen


class Attending(nn.Module):
    """Squeeze and excitation: each channel is weighted by what is in all of them."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        inner = max(4, form.channels // 16)
        self.inward, self.outward = form.inward(), form.outward()
        self.weigh = nn.Sequential(
            nn.Linear(form.channels, inner), nn.ReLU(), nn.Linear(inner, form.channels), nn.Sigmoid()
        )

    def weights(self, feature: Tensor) -> Tensor:
        """[N, C]"""
        found: Tensor = self.weigh(self.inward(feature).flatten(2).mean(2))
        return found

    def forward(self, feature: Tensor) -> Tensor:
        channels = self.inward(feature)
        weighted: Tensor = self.outward(
            channels * self.weights(feature).view(*channels.shape[:2], *[1] * (channels.ndim - 2))
        )
        return weighted


def _step(values_KM: Tensor) -> int:
    """torch's quantile takes 16 million values at most; a million say enough."""
    return max(1, values_KM.shape[1] // 1_000_000)
