"""Bottlenecks that are trained for one rate alone, to hold the one for all rates against.

    the bundle's own, for all rates ─┬─ learns on, for all rates ─► right at each rate
                                     ├─ learns on, for one rate ──► right at that rate
                                     └─ learns on, for another …

All begin with what the bundle's own knows, and learn on from the same samples for as long: what differs is what else
they have to be good at. Answers are kept as soon as they are there, so that a study that was stopped goes on.

# N test samples
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import say
from offramp.bundle.manifest import Manifest
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_evaluation.metrics.comparison import compare

if TYPE_CHECKING:
    from torch import nn

    from offramp.data import Parts
    from offramp_builder.capture import Captured

EPOCHS, LEARNING_RATE = 1, 1e-4
"""That each learns on for, gently: it begins near what it shall be."""
SHARED, ONWARD, ALONE = "shared", "onward", "alone"
APART = 0.5
"""Points of accuracy that one for all rates may be behind one for the rate alone."""
_CODEC = re.compile(r"affine(?P<bits>\d)(:(?P<sent>\d+))?(\+.*)?")
_BY_NUMBER = re.compile(r"-\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is learned from what."""

    manifest: Manifest
    """Of the bundle; its first bottleneck is meant."""
    data: str
    """As in --data."""
    weights: Path
    """Of the network, as `--save-weights` left them."""
    trained: Path
    """Of the bundle's bottlenecks, as `--save-bottlenecks` left them."""
    size: int
    """Samples to learn on from, at most."""
    limit: int | None
    """Test samples, at most: those of a tape with this limit."""

    def digest(self) -> str:
        """Of all that answers depend on."""
        parts = [
            self.weights.read_bytes(),
            self.trained.read_bytes(),
            f"{self.size} to learn, {self.limit} {self.data}".encode(),
        ]
        return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def singles(order: Order, rates: Sequence[tuple[int, int]], kept: Path) -> list[dict[str, Any]]:
    """For each rate (channels, bits): accuracy on test samples of the bundle's own, and of those that learned on.

    Answers lie in `kept` from one call to the next.
    """
    answers = _Kept(kept, order.digest())
    wanted = [_name(who, *rate) for rate in rates for who in (SHARED, ONWARD, ALONE)]
    if any(one not in answers.right for one in wanted):
        _teach(order, rates, answers)
    places = prod(order.manifest.bottlenecks[0].tensor.shape[1:])
    found = []
    for sent, bits in rates:
        shared_N, onward_N, alone_N = (answers.right[_name(who, sent, bits)] for who in (SHARED, ONWARD, ALONE))
        apart = compare(alone_N, onward_N, np.arange(len(alone_N)), better="higher")
        found.append(
            {
                "sent": sent,
                "bits": bits,
                "nbytes": -(-sent * places * bits // 8),
                "shared": float(shared_N.mean()),
                "onward": float(onward_N.mean()),
                "alone": float(alone_N.mean()),
                "low": apart.interval.low,
                "high": apart.interval.high,
            }
        )
    return found


def rates_of(manifest: Manifest, count: int) -> list[tuple[int, int]]:
    """So many of those that the bundle offers, from the cheapest to the dearest."""
    rates = offered(manifest)
    chosen = np.unique(np.linspace(0, len(rates) - 1, min(count, len(rates))).round().astype(int))
    return [rates[place] for place in chosen.tolist()]


def offered(manifest: Manifest) -> list[tuple[int, int]]:
    """(channels, bits) of the first bottleneck's codecs, the cheapest first."""
    spec = manifest.bottlenecks[0]
    matches = [match for codec in spec.codecs if (match := _CODEC.fullmatch(codec))]
    return list(dict.fromkeys((int(one["sent"] or spec.tensor.shape[0]), int(one["bits"])) for one in matches))


def request_of(manifest: Manifest) -> str:
    """What was asked of `--bottleneck` for a bundle's first one: `layer2.0:nested:64x4`.

    Bundles know it, but for those from before that, which have none with stages of its own.
    """
    if asked := manifest.provenance.get("bottlenecks"):
        return asked.split(",")[0].strip()
    spec = manifest.bottlenecks[0]
    cut, shape = manifest.cuts[spec.cut], spec.tensor.shape
    stride = cut.tensors[0].shape[-1] // shape[-1] if len(shape) > 1 else 1
    return f"{cut.name}:{_BY_NUMBER.sub('', spec.name)}:{shape[0]}" + (f"x{stride}" if stride > 1 else "")


class _Kept:
    """Who was right about which test sample, in a file."""

    def __init__(self, place: Path, digest: str) -> None:
        self.right: dict[str, NDArray[np.bool_]] = {}
        self._place, self._digest = place, digest
        if place.is_file():
            with np.load(place) as found:
                if str(found["digest"]) == digest:
                    self.right = {name: found[name] for name in found.files if name != "digest"}

    def add(self, name: str, right_N: NDArray[np.bool_]) -> None:
        self.right[name] = right_N
        partial = self._place.with_suffix(".partial.npz")
        np.savez(partial, **{"digest": np.array(self._digest), **self.right})  # type: ignore[arg-type]
        partial.replace(self._place)


def _name(who: str, sent: int, bits: int) -> str:
    return f"{who} {sent} x {bits}"


def _teach(order: Order, rates: Sequence[tuple[int, int]], answers: _Kept) -> None:
    """Whoever is missing."""
    captured, parts = _opened(order)
    branches = _branches(order, captured)
    own = BottleneckSettings(at=request_of(order.manifest), weights=order.trained)
    further = replace(own, onward=True, epochs=EPOCHS, rate=LEARNING_RATE)
    every = list(dict.fromkeys([*offered(order.manifest), *rates]))
    taught = [(SHARED, _at(own, rates), rates), (ONWARD, _at(further, every), rates)]
    taught += [(ALONE, _at(further, [one]), [one]) for one in rates]
    for who, settings, at in taught:
        if all(_name(who, *rate) in answers.right for rate in at):
            continue
        say(f"a bottleneck for one rate: {who}" + (f", {at[0][0]} x {at[0][1]}" if who == ALONE else ""))
        for rate, right_N in _answers(captured, parts, settings, at, branches).items():
            answers.add(_name(who, *rate), right_N)


def _at(settings: BottleneckSettings, rates: Sequence[tuple[int, int]]) -> BottleneckSettings:
    """For these rates."""
    sent, bits = (tuple(sorted(set(values))) for values in zip(*rates, strict=True))
    return replace(settings, sent=sent, bits=bits)


def _answers(
    captured: "Captured",
    parts: "Parts",
    settings: BottleneckSettings,
    at: Sequence[tuple[int, int]],
    branches: "dict[int, nn.Module]",
) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """[N] by rate: right about test samples, once it has learned."""
    from offramp_builder.bottlenecks.choosing import answers, codes
    from offramp_builder.bottlenecks.quantise import Rate, at_rate
    from offramp_builder.bottlenecks.training import train_bottlenecks

    (one,) = train_bottlenecks(captured, settings, parts, branches=branches)
    code, truth_N = codes(captured, one.bottleneck, parts.test), parts.test.truth_N
    said = {rate: answers(captured, one.bottleneck, at_rate(code, Rate(*rate))) for rate in at}
    return {rate: said_NK.argmax(1).numpy() == truth_N for rate, said_NK in said.items()}


def _branches(order: Order, captured: "Captured") -> "dict[int, nn.Module]":
    """Those that the network's weights learned with, by position: the bottlenecks may have begun with them."""
    from offramp_builder.joint.training import as_they_learned
    from offramp_builder.pretrained import branches_of

    hanging = order.manifest.branches
    if not hanging:
        return {}
    positions = [captured.position(order.manifest.cuts[branch.cut].name) for branch in hanging]
    return as_they_learned(captured, positions, hanging[0].kind, branches_of(order.weights)) or {}


def _opened(order: Order) -> "tuple[Captured, Parts]":
    """The bundle's network, as its provenance tells it, with some of its training data, and the tape's test samples."""
    from offramp.data import Request, load
    from offramp.data.labels import relabelled
    from offramp_builder.learning import capture_road
    from offramp_builder.models import open_model
    from offramp_builder.pretrained import load_weights
    from offramp_builder.recipe import Recipe
    from offramp_builder.sources import gather
    from offramp_evaluation.recording.selection import select

    manifest, told = order.manifest, order.manifest.provenance
    recipe = Recipe(
        model=told["model"],
        data=order.data,
        weights=order.weights,
        limit=int(told.get("limit", 0)) or None,
        seed=int(told.get("seed", "0")),
        mean=tuple(json.loads(told.get("mean", "[]"))),
        std=tuple(json.loads(told.get("std", "[]"))),
    )
    sources, _ = gather(recipe)
    assert sources.parts is not None
    model = open_model(recipe.model, sources.sample, len(sources.labels))
    load_weights(model, order.weights)
    train = sources.parts.train
    rows = np.unique(np.linspace(0, len(train) - 1, order.size).astype(np.int64))
    data = load(order.data, Request(shape=manifest.sample.shape, seed=recipe.seed))
    heard = select(data, manifest, ("test",), limit=order.limit, seed=recipe.seed)
    test = relabelled(data, manifest.labels).take(heard.id_M)
    return capture_road(model, sources), replace(sources.parts, train=train.take(rows), test=test)
