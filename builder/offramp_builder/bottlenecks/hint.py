"""What a branch at the cut has learned to see: where an encoder begins, and what reads its code.

    feature ─► convolutions of the branch ─► what it sees ─► the rest of the branch ─► logits
               the encoder begins with them                  and the voice of a code ends with it

A branch knows after training what of a feature tells classes apart. A code of few bytes can say what it sees: then the
voice says what the branch says before anything else is learned. What more a code says, the tail is for.

# N samples, C channels, M places of all samples, W channels of what the branch sees, K classes
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from offramp_builder.branches.pooling import GlobalMean

_AT_ONCE = 64
"""Samples whose gradients are kept together."""
_BLOCK = 3
"""Modules of a convolution of a branch: itself, its normalisation, what cuts it off at 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hint:
    """A convolutional branch, taken apart; it stays as it is."""

    convolutions: tuple[nn.Module, ...]
    """Each halves the sides."""
    end: nn.Module
    """What they see, to logits."""

    @classmethod
    def of(cls, network: nn.Module) -> Self | None:
        """None where the branch has no convolutions, or they are not all that it has before its mean."""
        match list(network.children()):
            case [nn.Identity(), nn.Sequential() as head] if len(head) > _BLOCK and isinstance(head[-2], GlobalMean):
                steps = list(head)[:-2]
            case _:
                return None
        blocks = [steps[start : start + _BLOCK] for start in range(0, len(steps), _BLOCK)]
        if any(not isinstance(block[0], nn.Conv1d | nn.Conv2d) or set(block[0].stride) != {2} for block in blocks):
            return None
        return cls(convolutions=tuple(nn.Sequential(*block) for block in blocks), end=head[-2:])

    def width(self, halvings: int) -> int:
        """Channels of what so many convolutions see."""
        last = next(self.convolutions[halvings - 1].children())
        assert isinstance(last, nn.Conv1d | nn.Conv2d)
        return last.out_channels

    def first(self, halvings: int) -> nn.Sequential:
        """So many of the convolutions, as a copy that may learn on."""
        return nn.Sequential(*copy.deepcopy(self.convolutions[:halvings]))

    def rest(self, halvings: int) -> nn.Sequential:
        """What the branch does with what they see; a copy."""
        return nn.Sequential(*copy.deepcopy(self.convolutions[halvings:]), copy.deepcopy(self.end))


def slopes(answer: Callable[[Tensor], Tensor], values: Tensor, *, temperature: float) -> Tensor:
    """[N, …] of the likelihood of classes drawn as `answer` says, softened as for distillation: their squares are the
    Fisher information, what distillation loses where a value is a little off.
    """
    found: list[Tensor] = []
    with torch.enable_grad():
        for some in torch.split(values, _AT_ONCE):
            feature = some.detach().requires_grad_()
            likely_NK = torch.softmax(answer(feature).float() / temperature, 1)
            drawn_N1 = torch.multinomial(likely_NK.detach(), 1)
            found += torch.autograd.grad(likely_NK.gather(1, drawn_N1).log().sum(), feature)
    return torch.cat(found)
