"""What crosses a split: features of a trained bundle, and of a ResNet-18 for pictures of 224 with random weights.

the samples that a bundle ships    ─► its heads        ─► features, with the ranges and tables of the bundle
photographs, 224 x 224             ─► ResNet-18's head ─► features, with a range from themselves

Random weights take the time of trained ones, and their features are no easier to write, as `zeros` and bytes say.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from benchmarks.bundles import SPLIT, bundle_of
from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import CutSpec, TensorSpec
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.data.dataset import Part
from offramp.data.digits import photographs
from offramp.records import Array, Feature
from offramp.runtime.onnx_backend import OnnxRuntime

T = TypeVar("T")

LARGEST = 16 * 32 * 32
"""Values that count as CIFAR's size: what a ResNet-20 has behind its first layer."""
QUANTILE = 0.99977
"""Where a build with calibration samples ends the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One split, and what was sent there."""

    name: str
    manifest: Manifest
    cut: int
    features: Sequence[Array]
    """[1, …] each, of different samples."""
    head: Callable[[], Feature]
    """Runs the head, on one of these samples after the other."""

    @property
    def title(self) -> str:
        return f"{self.name} {'×'.join(map(str, self.features[0].shape[1:]))}"

    @property
    def size(self) -> int:
        """Bytes of a feature in float32."""
        return self.features[0].nbytes

    @property
    def zeros(self) -> float:
        """Share of the values."""
        return float(np.mean([np.mean(feature == 0) for feature in self.features]))

    def bytes_of(self, codec: str) -> float:
        """Mean of the payloads."""
        encode = open_codec(codec, self.manifest, self.cut).encode
        return float(np.mean([len(encode((feature,))) for feature in self.features]))

    def levels(self) -> list[Array]:
        """Of 8 bits, one after the other: what an entropy stage is given."""
        encode = open_codec("affine8", self.manifest, self.cut).encode
        return [np.frombuffer(encode((feature,)), np.uint8) for feature in self.features]


@contextmanager
def trained_spots(bundle: Bundle) -> Iterator[list[Spot]]:
    """Where a trained bundle sends features of CIFAR's size or smaller: the last split of each shape."""
    manifest = bundle.manifest
    samples, _ = bundle.reference()
    cuts = {
        manifest.cuts[cut].tensors[0].shape: cut
        for cut in manifest.splits[1:-1]
        if len(manifest.cuts[cut].tensors) == 1 and manifest.cuts[cut].tensors[0].elements <= LARGEST
    }
    with OnnxRuntime(bundle) as runtime:
        yield [_spot(runtime, manifest, cut, [sample[None] for sample in samples]) for cut in cuts.values()]


@contextmanager
def resnet18_spots() -> Iterator[list[Spot]]:
    """Behind layer 2 of a ResNet-18, behind layer 1, and half of the channels behind layer 2: 401, 803 and 201 KB."""
    bundle = bundle_of("resnet18")
    with OnnxRuntime(bundle) as runtime:
        first, second = (
            _with_own_range(_spot(runtime, bundle.manifest, cut, _pictures())) for cut in range(1, SPLIT + 1)
        )
        channels = second.features[0].shape[1] // 2
        halves = [np.ascontiguousarray(feature[:, :channels]) for feature in second.features]
        yield [second, first, _with_own_range(replace(second, name=f"half of {second.name}", features=halves))]


def _spot(runtime: OnnxRuntime, manifest: Manifest, cut: int, samples: Sequence[Array]) -> Spot:
    segment = runtime.open(0, cut, branch=False)
    features = [segment.run((sample,)).feature[0] for sample in samples]
    return Spot(
        name=manifest.cuts[cut].name,
        manifest=manifest,
        cut=cut,
        features=features,
        head=in_turns(lambda sample: segment.run((sample,)).feature, samples),
    )


def in_turns(call: Callable[[Array], T], arguments: Sequence[Array]) -> Callable[[], T]:
    """The call with one argument after the other."""
    turn = 0

    def case() -> T:
        nonlocal turn
        turn = (turn + 1) % len(arguments)
        return call(arguments[turn])

    return case


def _with_own_range(spot: Spot) -> Spot:
    """Calibrated on its features: those of a bundle with random weights were calibrated on noise."""
    high = float(np.quantile(np.stack(spot.features), QUANTILE))
    shape = spot.features[0].shape[1:]
    cuts = list(spot.manifest.cuts)
    cuts[spot.cut] = CutSpec(name=spot.name, tensors=(TensorSpec(shape=shape, dtype="float32", low=0.0, high=high),))
    return replace(spot, manifest=replace(spot.manifest, cuts=tuple(cuts)))


def _pictures() -> list[Array]:
    """[1, 224, 224, 3] Square pieces of real photographs."""
    found: list[Array] = []
    for photograph in photographs(Part.TRAIN):
        side = photograph.height
        for left in (0, photograph.width - side):
            piece = photograph.crop((left, 0, left + side, side)).resize((224, 224), Image.Resampling.BILINEAR)
            found.append(np.asarray(piece)[None])
    return found
