"""What an entry of the zoo is."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from offramp.records import SampleSpec


class Factory(Protocol):
    """Makes a network with fresh weights."""

    def __call__(self, num_classes: int, shape: tuple[int, ...], /) -> nn.Module:
        """The network for raw samples of this shape (images: H, W, C), giving logits [N, num_classes].

        Raises:
            ModelError: The network cannot take that shape.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooEntry:
    """One network of the zoo, with what it was made for."""

    factory: Factory
    sample: SampleSpec
    """The raw sample it expects unless a data set or a flag says otherwise."""
    classes: int
    """How many, where neither labels nor data say."""
    summary: str
