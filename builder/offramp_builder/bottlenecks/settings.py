"""What a build is asked to train as bottlenecks, and how.

[FROM>]CUT[:KIND[:CHANNELS[xSTRIDE]]]      layer2.0   layer2.0:nested:32x4   layer1:attention:8
                                           layer1.0>layer2.0:nested:64x4: stages of its own between the two
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from offramp.errors import SettingsError
from offramp.registry import unknown
from offramp_builder.training.settings import TrainSettings

KINDS = ("nested", "attention", "entropic")
DEFAULT_KIND = "nested"
BITS = (8, 6, 4, 3, 2)
"""What codecs can write a level with."""
EPOCHS = 6
"""Enough for a small network on a frozen one: most of the way is gone after two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckRequest:
    """One bottleneck that shall be trained."""

    cut: str
    """Whose feature the code is made of: its name, or its index."""
    leaves: str | None = None
    """An earlier cut, where it leaves the network: between the two it has stages of its own. None: `cut` itself."""
    kind: str = DEFAULT_KIND
    channels: int | None = None
    """Of the code, at most; None: as the kind thinks fit."""
    stride: int | None = None
    """Sides of the feature over those of the code; None: as the kind thinks fit."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(unknown("kind of bottleneck", self.kind, list(KINDS)))
        if self.channels is not None and self.channels < 1:
            raise SettingsError(f"a bottleneck of {self.channels} channels sends nothing; give at least 1")
        if self.stride is not None and (self.stride < 1 or self.stride & (self.stride - 1)):
            raise SettingsError(f"a stride of {self.stride} cannot be had; give a power of two: 1, 2, 4, 8")
        if self.leaves is not None and self.kind == "attention":
            raise SettingsError(
                f"attention sends channels as the network has them, so stages of its own from {self.leaves} on would "
                f"learn nothing; take nested or entropic, or leave {self.leaves}> out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckSettings(TrainSettings):
    """Those of any training, and what encoder, decoder and tail are taught. The network before them stands still."""

    at: str
    """Where, and of which kind: see the module; several between commas."""
    epochs: int = EPOCHS
    """All steps of a kind together."""
    optimizer: str = "adamw"
    batch: int = 64
    rate: float | None = 3e-4
    """Gentle: encoder, decoder and tail begin near what they shall be. At 1e-3 a ResNet-20's tail forgot more than it
    learned in five epochs."""
    bits: tuple[int, ...] = ()
    """Widths of a level that are trained; empty: those of the kind."""
    sent: tuple[int, ...] = ()
    """How many channels are sent in training, one of these for each sample; empty: as the kind has it."""
    distill: float = 0.7
    """Share of the answers' loss that is learned from the unchanged network; the rest from the labels."""
    distill_temperature: float = 3.0
    """Divides both logits there."""
    features: float = 0.1
    """Weight of how far decoded features are from those of the cut, as a share of their variance."""
    byte_weight: float = 2e-3
    """entropic: nats that a byte is worth. Higher, and payloads are smaller."""
    own_tail: bool = True
    """Whether a copy of the stages behind learns with the decoder; without it they stay the network's own."""
    from_branch: bool = True
    """Whether encoder and code begin with what a convolutional branch at the cut has learned to see, where there is one
    and the stride is as long as two of its convolutions."""
    together: float = 0.0
    """Share of its gradients that reaches the network, while that learns together with branches and bottleneck; 0: the
    network before it stands still from the beginning. After that the bottleneck learns on for `epochs`, behind the
    network as it is then."""
    views: int = 2
    """How often the samples pass the frozen stages, moved and mirrored anew, to be kept; as far as memory goes. 0: none
    are kept, and they pass anew in every epoch, which takes longer, and cannot be learned by heart."""
    weights: Path | None = None
    """Of bottlenecks that were trained before, as `save` left them: nothing is trained, unless `onward` says so."""
    onward: bool = False
    """Whether training goes on from `weights`, perhaps for fewer rates."""
    save: Path | None = None
    """Where to leave the trained bottlenecks' weights."""

    def __post_init__(self) -> None:
        TrainSettings.__post_init__(self)  # super() does not know the class that slots=True makes
        requests = self.requests
        if len(set(requests)) < len(requests):
            raise SettingsError(
                f"{self.at!r} asks for the same bottleneck twice; leave one out, or give it another number of channels "
                f"or stride"
            )
        if self.optimizer in ("muon", "auto"):
            raise SettingsError(
                f"{self.optimizer} cannot train a bottleneck, whose tail was trained before; take adamw or sgd"
            )
        if self.small_first or self.supervise:
            raise SettingsError("small_first and supervise train a network, not a bottleneck; leave them out")
        if self.teachers:
            raise SettingsError("a bottleneck is taught by the unchanged network (distill); leave teachers out")
        for bits in self.bits:
            if bits not in BITS:
                raise SettingsError(f"no codec writes levels of {bits} bits; give some of {', '.join(map(str, BITS))}")
        if any(sent < 1 for sent in self.sent):
            raise SettingsError(f"sent {list(self.sent)} has a number of channels below 1; leave it out")
        if not 0 <= self.distill <= 1:
            raise SettingsError(f"distill {self.distill} is a share of the loss; give one between 0 and 1")
        if not (math.isfinite(self.distill_temperature) and self.distill_temperature > 0):
            raise SettingsError(f"distill_temperature {self.distill_temperature} must be a positive number, such as 3")
        for name, value in (
            ("features", self.features),
            ("byte_weight", self.byte_weight),
            ("together", self.together),
        ):
            if not (math.isfinite(value) and value >= 0):
                raise SettingsError(f"{name} {value} must be 0 or more")
        if self.onward and self.weights is None:
            raise SettingsError(
                "onward goes on from weights that were trained before; give weights too, or leave it out"
            )
        if self.together and self.weights is not None:
            raise SettingsError(
                "together begins a bottleneck with the network that it learns with, and weights bring one along; leave "
                "one of them out"
            )
        if self.together and any(request.kind == "attention" for request in requests):
            raise SettingsError(
                "attention ranks the channels of a network that stands still; take nested, or leave together out"
            )
        for request in requests:
            if request.leaves is not None and not self.own_tail:
                raise SettingsError(
                    f"{request.leaves}>{request.cut} yields features of {request.cut}, and own_tail = false has the "
                    f"network's own tail begin where it leaves, at {request.leaves}; leave {request.leaves}> out, or "
                    f"own_tail = false"
                )
        if self.views < 0:
            raise SettingsError(
                f"views {self.views} cannot be kept; give how many to keep, or 0 to see each sample anew in every epoch"
            )

    @property
    def requests(self) -> tuple[BottleneckRequest, ...]:
        """
        Raises:
            SettingsError: `at` is no such list.
        """
        return tuple(parse_request(text) for text in self.at.split(","))


_REQUEST = re.compile(
    r"((?P<leaves>[^:>]+)>)?(?P<cut>[^:>]+)(:(?P<kind>[^:]+)(:(?P<channels>\d{1,6})(x(?P<stride>\d{1,6}))?)?)?",
)


def parse_request(text: str) -> BottleneckRequest:
    """
    Raises:
        SettingsError: It is no request, or asks for what there is not.
    """
    match = _REQUEST.fullmatch(text.strip())
    if match is None:
        raise SettingsError(
            f"{text!r} asks for no bottleneck; write [FROM>]CUT[:KIND[:CHANNELS[xSTRIDE]]], such as "
            f"layer2.0:nested:32x4"
        )
    channels, stride = (None if match[part] is None else int(match[part]) for part in ("channels", "stride"))
    kind = (match["kind"] or DEFAULT_KIND).strip()
    leaves = None if match["leaves"] is None else match["leaves"].strip()
    return BottleneckRequest(cut=match["cut"].strip(), leaves=leaves, kind=kind, channels=channels, stride=stride)
