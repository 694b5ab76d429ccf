"""What a kind of bottleneck is: how its encoder and decoder look, and in which steps they are taught.

    design ─► encoder, decoder ─► step (who learns what, for a share of the epochs) ─► step ─► …

# N samples, C channels
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.bottlenecks.hint import Hint
from offramp_builder.bottlenecks.layers import Form

SHARE = 0.1
"""Of the head's operations, that an encoder may take at most."""

Part = str
"""encoder, with the stages of its own before it; decoder or tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of the training."""

    name: str
    share: float
    """Of the epochs."""
    learn: tuple[Part, ...]
    answers: bool = True
    """Whether the answers count: the labels, and what the unchanged network says."""
    features: float = 1.0
    """Times the settings' weight of decoded features."""
    bytes: bool = False
    """Whether the settings' weight of bytes counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where a bottleneck shall be, and what it may cost there."""

    name: str
    """Of the cut."""
    form: Form
    positive: bool
    """Whether the feature is never negative."""
    allowed: int
    """Multiply-accumulates of the encoder, at most."""
    sample: Tensor
    """A few features [N, *shape]."""
    channels: int | None
    stride: int | None
    """As asked for; None: as the kind thinks fit."""
    slopes: "Callable[[], Tensor]"
    """How steeply what the network says rises with each value of `sample`, [N, *shape]: where it is flat, values do not
    matter."""
    rank: "Callable[[], Tensor]"
    """Learns how much each of the cut's channels matters to the answers: [C], the larger, the more."""
    hint: Hint | None = None
    """A branch at the cut that has learned."""
    temperature: float = 1.0
    """Of what is distilled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """Untrained."""

    encoder: nn.Module
    decoder: nn.Module
    channels: int
    """Of the code."""
    voice: nn.Module | None = None
    """Code -> logits [N, K] that are added to those of a tail of its own."""


class BottleneckKind(Protocol):
    """Builds bottlenecks of one kind."""

    nested: bool
    """Whether one set of weights serves every number of channels: the first ones are the most important."""
    bits: tuple[int, ...]
    """Widths of a level that it is trained for, unless others are asked for."""

    def design(self, place: Place, /) -> Design:
        """
        Raises:
            ModelError: Nothing fits there.
        """
        ...

    def steps(self) -> Sequence[Step]: ...


MOST_PLACES = 49
"""Of a code, where nobody asks for a stride: 7 x 7."""
CHANNELS = 64
"""Of a code, where nobody asks for a number. Many at few bits say more than few at many: of a ResNet-20's layer2.0,
32 channels at 2 bits answer what they do at 8."""


def stride_for(form: Form, asked: int | None, *, most: int = MOST_PLACES) -> int:
    """What was asked for, or the least power of two that leaves at most so many places.

    Raises:
        ModelError: The feature has no sides to be made shorter.
    """
    if asked not in (None, 1) and not form.shrinks:
        raise ModelError(
            f"a feature of shape {list(form.shape)} has no neighbouring places to be thrown together; leave the stride "
            f"x{asked} out"
        )
    if asked is not None:
        return asked
    stride = 1
    while form.shrinks and math.prod(form.shrunk(stride)) > most and stride < min(form.sides):
        stride *= 2
    return stride
