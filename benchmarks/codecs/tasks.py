"""The tasks: which bundle, and which codecs are compared on it."""

from dataclasses import dataclass

from offramp.registry import Catalogue

QUALITIES = (5, 20, 50, 75, 90, 95)
INPUTS = (
    "raw",
    "png",
    "webp:lossless",
    *(f"jpeg:{quality}" for quality in QUALITIES),
    *(f"webp:{quality}" for quality in QUALITIES),
)
PLAIN = (
    "affine8+zstd",
    "affine8+range",
    "affine4c+zstd",
    "affine4+range",
    "affine4c+range",
    "affine3c+range",
    "affine2+range",
    "affine2c+range",
)
"""Features as they are, quantised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    name: str
    title: str
    """For people."""
    data: str
    """Its kind, as in --data."""
    recipe: str
    """That `offramp build` follows where no bundle is given."""
    bottlenecks: tuple[str, ...]
    """What is asked of `--bottleneck` there."""
    epochs: int
    """Of a bottleneck."""
    payload: float | None
    """Bytes at which a sample shall be within `drop`; None: nothing is claimed."""
    drop: float = 0.01
    half: float = 0.5
    """Share of the operations that the device may have executed at a split that counts."""


TASKS: Catalogue[Task] = Catalogue(
    "task",
    [
        (
            "camera-digits",
            Task(
                name="camera-digits",
                title="camera-digits at 96 × 96, the demo's network",
                data="camera-digits",
                recipe="camera-digits",
                bottlenecks=("middle.block2:nested:64x4",),
                epochs=3,
                payload=None,
            ),
        ),
        (
            "cifar10",
            Task(
                name="cifar10",
                title="CIFAR-10, ResNet-20",
                data="cifar10",
                recipe="cifar10-resnet20",
                bottlenecks=("layer2.0:nested",),
                epochs=3,
                payload=100.0,
            ),
        ),
    ],
)
