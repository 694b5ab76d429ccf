"""Quantisation as codecs do it, in a form that can be learned through, and the rates at which a code is sent.

    q = floor(clip(x, 0, 1) · top + 1/2)      x' = q / top      top = 2^bits - 1

Its gradient passes as if nothing were rounded (straight through). Channels that are not sent read 0.

# N samples, C channels of the code, K places of a channel
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from offramp.errors import SettingsError

_PARTS = 8
"""Of a code, the fewest that are sent: less is trained for in vain where nobody wants so little."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How a code is sent: its first channels, at so many bits."""

    sent: int
    bits: int

    def nbytes(self, places: int) -> int:
        """Of a payload without an entropy stage, in channels of so many places."""
        return -(-self.sent * places * self.bits // 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Those that a bottleneck is trained for."""

    sent: tuple[int, ...]
    """Numbers of channels, rising; the last is all that are used."""
    bits: tuple[int, ...]

    @property
    def highest(self) -> Rate:
        return Rate(self.sent[-1], max(self.bits))

    def every(self) -> list[Rate]:
        return [Rate(sent, bits) for sent in self.sent for bits in self.bits]

    def drawn(self, count: int) -> tuple[Tensor, Tensor]:
        """[N] channels and [N] bits, each drawn for itself: one pass teaches all rates."""
        sent_N = torch.tensor(self.sent)[torch.randint(len(self.sent), (count,))]
        bits_N = torch.tensor(self.bits)[torch.randint(len(self.bits), (count,))]
        return sent_N, bits_N


def sizes(channels: int) -> tuple[int, ...]:
    """Numbers of channels that are worth sending: 1, 2, 3, 4, 6, 8, 12, 16, 24, … from an eighth up to all."""
    steps = [1, channels, *(step << power for power in range(channels.bit_length()) for step in (2, 3))]
    return tuple(sorted({step for step in steps if channels <= _PARTS * step and step <= channels}))


def chosen_sizes(channels: int, asked: Sequence[int]) -> tuple[int, ...]:
    """Those that were asked for, or all that are worth it.

    Raises:
        SettingsError: More channels than there are.
    """
    if asked and max(asked) > channels:
        raise SettingsError(f"sent {list(asked)} has more channels than the {channels} of the code; give fewer")
    return tuple(sorted(set(asked))) if asked else sizes(channels)


def quantised(code: Tensor, sent_N: Tensor, bits_N: Tensor) -> Tensor:
    """The code [N, C, …] as the other end reads it when each sample is sent at its rate."""
    spread = (len(code), *[1] * (code.ndim - 1))
    top_N = (2.0**bits_N - 1).to(code).view(spread)
    channel = torch.arange(code.shape[1], device=code.device).view(1, -1, *[1] * (code.ndim - 2))
    level = (code.detach().clamp(0, 1) * top_N + 0.5).floor()
    rounded = code + (level * (1 / top_N) - code).detach()
    return rounded * (channel < sent_N.to(code.device).view(spread))


def at_rate(code: Tensor, rate: Rate) -> Tensor:
    """The code as the other end reads it when all samples are sent at this rate."""
    count = len(code)
    return quantised(code, torch.full((count,), rate.sent), torch.full((count,), rate.bits))


_PACE = 10.0
"""How much faster a prior learns than weights: it has to follow the code."""


class Histogram(torch.nn.Module):
    """The prior of a code: how likely each level is in each channel, learned with it (a factorised prior).

    What it says a code takes is what a range coder with these shares takes, but for its rounding to words.
    """

    def __init__(self, channels: int, bits: int) -> None:
        super().__init__()
        self.logits_CL = torch.nn.Parameter(torch.zeros(channels, 2**bits))
        """Of the shares, but for the pace."""

    def bytes_of(self, code: Tensor) -> Tensor:
        """[N] of a quantised code [N, C, …]; its gradient leads to neighbouring levels that are cheaper."""
        cost_CL = -torch.log_softmax(_PACE * self.logits_CL.float(), dim=1) / (8 * math.log(2))
        top = cost_CL.shape[1] - 1
        place_NCK = code.float().flatten(2) * top if code.ndim > 2 else code.float().unsqueeze(2) * top
        level_NCK = place_NCK.detach().round().clamp(0, top).long()
        channel = torch.arange(code.shape[1], device=code.device).view(1, -1, 1)
        slope_CL = (torch.roll(cost_CL, -1, 1) - torch.roll(cost_CL, 1, 1)) / 2
        slope_CL = torch.cat(
            [cost_CL[:, 1:2] - cost_CL[:, :1], slope_CL[:, 1:-1], cost_CL[:, -1:] - cost_CL[:, -2:-1]], 1
        )
        # The value is the cost of the level itself; through the second term, 0 in value, the code learns.
        away_NCK = place_NCK - place_NCK.detach()
        cost_NCK = cost_CL[channel, level_NCK] + slope_CL.detach()[channel, level_NCK] * away_NCK
        return cost_NCK.sum((1, 2))
