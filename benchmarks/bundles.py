"""Untrained bundles of known networks: times do not depend on what the weights are. Kept in the system's temp folder.

python -m benchmarks.bundles NAME…     builds them, so that a benchmark's own process never loads torch
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from offramp import __version__
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import BundleError
from offramp.registry import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of the zoo, cut twice."""

    branch: str
    """Module after which a branch hangs: cut 1."""
    split: str
    """Module after which the feature is sent: cut 2."""


NETWORKS: Catalogue[Network] = Catalogue(
    "benchmarked network",
    [
        ("resnet20", Network(branch="layer1", split="layer2")),
        ("resnet18", Network(branch="layer1", split="layer2")),
        ("mobilenet_v2", Network(branch="features.3", split="features.6")),
    ],
)
BRANCH, SPLIT = 1, 2
CODEC = "affine8+zstd"


def bundle_of(name: str) -> Bundle:
    """The bundle of a network, built in another process when this machine has none yet."""
    path = _place(name)
    try:
        return open_bundle(path)
    except BundleError:
        subprocess.run([sys.executable, "-m", "benchmarks.bundles", name], check=True)
        return open_bundle(path)


def build(name: str) -> None:
    """Build and keep the bundle of a network, with random weights and a range for every cut."""
    import torch
    from torch import nn

    from offramp_builder.bundle import write_bundle
    from offramp_builder.capture import capture, random_samples
    from offramp_builder.preprocess import preprocessor
    from offramp_builder.ranges import calibrate
    from offramp_builder.segments import Branch
    from offramp_builder.zoo import ZOO

    network, entry = NETWORKS[name], ZOO[name]
    torch.manual_seed(0)
    module = entry.factory(entry.classes, entry.sample.shape).eval()
    captured = capture(module, entry.sample, preprocessor(entry.sample))
    branch, split = captured.position(network.branch), captured.position(network.split)
    channels = captured.cuts[branch].tensors[0].spec.shape[0]
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, entry.classes)).eval()
    kept = [0, branch, split, captured.end]
    write_bundle(
        _place(name),
        captured,
        kept,
        name=f"{name}-untrained",
        labels=[str(label) for label in range(entry.classes)],
        branches=[Branch(position=branch, kind="linear", network=classifier)],
        ranges=calibrate(captured, kept, [random_samples(entry.sample, 16)]),
    )


def _place(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"offramp-benchmarks-{__version__}" / name


if __name__ == "__main__":
    for name in sys.argv[1:]:
        place = _place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        build(name)
