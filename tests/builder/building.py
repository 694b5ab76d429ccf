"""Networks captured and bundles built for tests, and what the fixtures that give them are called."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from offramp.bundle.store import Bundle, open_bundle
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured, capture
from offramp_builder.choose import choose_cuts
from offramp_builder.preprocess import preprocessor
from offramp_builder.segments import Branch
from offramp_builder.zoo.catalog import ZOO
from tests.support.models import NETWORKS, Case, Pooled

SMALLER = {"resnet18": (64, 64, 3), "mobilenet_v2": (64, 64, 3), "camera_cnn": (64, 64, 3), "ds_cnn": (4000,)}
"""Zoo networks whose cuts are the same on samples that a test can afford."""


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle, and what it was made from."""

    bundle: Bundle
    captured: Captured
    kept: tuple[int, ...]
    branches: tuple[Branch, ...]


@cache
def captured_network(name: str) -> Captured:
    """A network of tests/support/models.py, or `zoo:NAME`, with seeded weights."""
    if not name.startswith("zoo:"):
        return NETWORKS[name].captured()
    entry = ZOO[name.removeprefix("zoo:")]
    shape = SMALLER.get(name.removeprefix("zoo:"), entry.sample.shape)
    sample = type(entry.sample)(kind=entry.sample.kind, shape=shape, dtype=entry.sample.dtype)
    classes = min(entry.classes, 20)
    return capture(Case(lambda: entry.factory(classes, shape), sample).module(), sample, preprocessor(sample))


Capturing = Callable[[str], Captured]
"""The fixture `captured`: `captured(name)` is the network of this name, captured once."""
Building = Callable[..., Built]
"""The fixture `built`: `built(name, request)` is its bundle with the chosen cuts, built once."""


def build(path: Path, name: str, request: str) -> Built:
    """A bundle with branches on the first and the last inner kept cut."""
    captured = captured_network(name)
    kept = choose_cuts(captured, request)
    torch.manual_seed(1)
    branches = tuple(
        Branch(
            position=position,
            kind="linear",
            network=Pooled(captured.cuts[position].tensors[0].spec.shape, captured.classes).eval(),
            temperature=1.0 + index,
        )
        for index, position in enumerate(sorted({kept[1], kept[-2]} - {0, captured.end}))
    )
    labels = [f"class {index}" for index in range(captured.classes)]
    write_bundle(path, captured, kept, name=name, labels=labels, branches=branches)
    return Built(open_bundle(path), captured, kept, branches)
