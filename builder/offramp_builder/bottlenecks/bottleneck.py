"""A learned bottleneck, ready to ship: a detour around one cut.

    head ─► cut ─► tail                            the road
             └► encoder ─► code ═► decoder ─► tail'  the detour: what crosses is the code

    head ─► cut ─► stage ─► … ─► tail                              … with stages of its own: they are a part of the
             └► stage' ─► encoder ─► code ═► decoder ─► tail'      encoder, and its tail begins behind them

The encoder ends the head's last segment and the decoder begins the tail's, so that neither costs a boundary. The code
is quantised and packed like any feature: `slim/affine4:8+range` sends the first 8 channels of bottleneck `slim`'s code
at 4 bits.

# N samples, C channels of the code, K classes
"""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bottleneck:
    """In evaluation mode from here on."""

    position: int
    """Index into `Captured.cuts` of the cut at which it leaves the network."""
    name: str
    """Lower-case letters, digits and dashes; first in the codec's name: `name/affine4:8+range`."""
    encoder: nn.Module
    """The cut's tensors -> code [N, C, …] in [0, 1], most important channels first; one that was not sent reads 0."""
    decoder: nn.Module
    """Code -> what the tail begins with: the cut's tensors, unless that is a tail of its own."""
    tail: nn.Module | None = None
    """What the decoder yields -> logits [N, K], trained on with it; None: the network's own, from the cut on."""
    codecs: tuple[str, ...] = ()
    """What is worth trying on its code: `affine4:8+range`, `affine2:4+range`, …, cheapest first."""
