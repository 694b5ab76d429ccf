"""Exits found by search against none, even spacing, one a stage and EENets' rules: all tuned to one accuracy budget.

    trunk ─► a branch on every activation, in one frozen pass ─► sets, each with its own thresholds ─┐
    test samples, batch 1, sets taking turns in an order drawn anew for each sample ─────────────────┴► seconds, right

python -m benchmarks.placement --weights trunk.pt --data cifar10:PATH     some minutes, for ResNet-20
python -m benchmarks.placement                                            a small network that is trained first
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.exits import ExitSet
from offramp.bundle.store import Bundle, open_bundle
from offramp.data import DataSet
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.plan import NO_EXIT, ExitRule
from offramp.records import Array, Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.threads import configure_threads
from offramp.units import format_seconds, parse_share
from offramp_builder.branches.training import TrainedExits, train_branches
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured
from offramp_builder.learning import capture_road
from offramp_builder.models import open_model
from offramp_builder.placement.choosing import choose
from offramp_builder.placement.search import POLICY, SEARCHED, Heard, hear, tabulate
from offramp_builder.placement.settings import SearchSettings
from offramp_builder.placement.timing import road_of, time_segments
from offramp_builder.pretrained import load_weights
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import read_recipe
from offramp_builder.sources import gather
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import train

MINUTES = 15.0
"""What a search may take on two cores, from a trained trunk."""
OFF = 0.10
"""What a predicted mean may be off."""
SAMPLES, REPEATS = 2_000, 3
SIGMAS = 2.0
"""Standard errors that accuracy may fall below its budget by chance: it was tuned on other samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One set on the test samples."""

    seconds_RN: NDArray[np.float64]
    """Of every repeat."""
    way_N: NDArray[np.int64]
    """How many segments each sample ran: all that leave at one exit go the same way."""
    right_N: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """Seconds of an average sample, each taken to need the median of all that go its way: what else a machine does
        now and then is not the exits' doing.
        """
        ways, count_W = np.unique(self.way_N, return_counts=True)
        medians = [float(np.median(self.seconds_RN[:, self.way_N == way])) for way in ways]
        return float(np.average(medians, weights=count_W))


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument(
        "--weights", type=Path, help="of the recipe's network (default: zoo:resnet8 is trained on camera-digits)"
    )
    parser.add_argument("--recipe", default="cifar10-resnet20", help="network and data (default: cifar10-resnet20)")
    parser.add_argument("--data", help="instead of the recipe's, such as cifar10:PATH")
    parser.add_argument("--limit", type=int, help="at most so many samples of each part")
    parser.add_argument("--kind", default="linear", help="of branch (default: linear)")
    parser.add_argument("--drop", default="0.5%", help="accuracy that exits may cost (default: 0.5%%)")
    parser.add_argument("--most", type=int, default=3, help="exits (default: 3)")
    arguments = parser.parse_args()
    configure_threads(1)
    settings = SearchSettings(drop=parse_share(arguments.drop), most=arguments.most)
    captured, parts = a_trunk(arguments)
    began = time.perf_counter()

    def trained(positions: Sequence[int]) -> TrainedExits:
        return train_branches(
            captured,
            positions,
            arguments.kind,
            train=parts.train,
            calibration=parts.calibration,
            progress=tell,
        )

    heard = hear(captured, arguments.kind, trained, parts.calibration, tell)
    best = choose(heard.said, settings.most, settings.drop, lambda done, total: tell("comparing sets", done, total))
    table = tabulate(captured, heard, best, settings.drop, arguments.kind)
    searching = time.perf_counter() - began
    samples, repeats = (200, 1) if arguments.quick else (SAMPLES, REPEATS)
    rows = np.random.default_rng(1).permutation(len(parts.test))[:samples]
    test = parts.test.take(rows)
    with tempfile.TemporaryDirectory() as folder:
        sets = [one.in_use() for one in table.sets]
        bundle = a_bundle(Path(folder, "bundle"), captured, heard, sets, test)
        expected = predicted(bundle, sets)
        found = measured(bundle, sets, test, repeats)
    for one in table.sets:
        print(f"  {line(one, found, expected)}", file=sys.stderr)
    return report(
        "placement",
        claims(table.sets, found, expected, searching, settings),
        {
            "places": len(table.points),
            "searching_seconds": searching,
            "samples": len(test),
            "sets": {one.name: details(one, found, expected) for one in table.sets},
        },
        arguments,
    )


def claims(
    sets: Sequence[ExitSet],
    found: dict[str, Measured],
    expected: dict[str, float],
    searching: float,
    settings: SearchSettings,
) -> list[Claim]:
    means = {name: one.mean for name, one in found.items()}
    rivals = {name: mean for name, mean in means.items() if name != SEARCHED}
    closest = min(rivals, key=lambda name: rivals[name])
    lost_N = found["none"].right_N.astype(float) - found[SEARCHED].right_N
    by_chance = SIGMAS * float(lost_N.std()) / len(lost_N) ** 0.5
    off = {one.name: abs(expected[one.name] / means[one.name] - 1) for one in sets}
    return [
        Claim(
            name="searched exits, mean time against the fastest other set",
            found=means[SEARCHED] / rivals[closest],
            limit=1.0,
            detail=f"{format_seconds(means[SEARCHED])} a sample; {closest} {format_seconds(rivals[closest])}, "
            f"without exits {format_seconds(rivals['none'])}",
        ),
        Claim(
            name="accuracy that they cost on the test split, in points",
            found=100 * float(lost_N.mean()),
            limit=100 * (settings.drop + by_chance),
            unit="",
            detail=f"{100 * settings.drop:g} allowed, {100 * by_chance:.2f} for chance on {len(lost_N):,} samples",
        ),
        Claim(
            name="predicted mean time of the searched set, off by",
            found=off[SEARCHED],
            limit=OFF,
            unit="",
            detail=f"worst of all sets {max(off.values()):.3f}",
        ),
        Claim(name="search, from a trained trunk", found=searching / 60, limit=MINUTES, unit="min"),
    ]


def line(one: ExitSet, found: dict[str, Measured], expected: dict[str, float]) -> str:
    told = details(one, found, expected)
    return (
        f"{one.name:10} mean {format_seconds(told['mean']):>8} p95 {format_seconds(told['p95']):>8} "
        f"predicted {format_seconds(told['predicted']):>8} right {100 * told['accuracy']:.2f} %  "
        f"{', '.join(one.points)}"
    )


def details(one: ExitSet, found: dict[str, Measured], expected: dict[str, float]) -> dict[str, Any]:
    mine = found[one.name]
    return {
        "exits": list(one.points),
        "thresholds": list(one.thresholds),
        "mean": mine.mean,
        "p95": float(np.quantile(mine.seconds_RN, 0.95)),
        "predicted": expected[one.name],
        "accuracy": float(mine.right_N.mean()),
        "calibrated_accuracy": one.accuracy,
        "slower_than_searched": mine.mean - found[SEARCHED].mean,
    }


def a_trunk(arguments: argparse.Namespace) -> tuple[Captured, Any]:
    """A trained network, and its data dealt out as a build deals them."""
    recipe = (
        Recipe(model="zoo:resnet8", data="camera-digits", train=TrainSettings(epochs=2, batch=64), limit=4_000)
        if arguments.weights is None
        else Recipe(**read_recipe(arguments.recipe) | {"weights": arguments.weights, "train": None})
    )
    told = {name: getattr(arguments, name) for name in ("data", "limit") if getattr(arguments, name) is not None}
    recipe = replace(recipe, **told)
    sources, _ = gather(recipe)
    assert sources.parts is not None
    torch.manual_seed(0)
    model = open_model(recipe.model, sources.sample, len(sources.labels))
    if arguments.weights is not None:
        load_weights(model, arguments.weights)
    captured = capture_road(model, sources)
    if recipe.train is not None:
        train(captured.road, sources.parts.train, recipe.train)
        captured = capture_road(model, sources)
    return captured, sources.parts


def a_bundle(path: Path, captured: Captured, heard: Heard, sets: Sequence[ExitSet], test: DataSet) -> Bundle:
    """One with every branch that some set asks, and the segments that they run."""
    wanted_names = {point for one in sets for point in one.points}
    branches = [
        branch for cut, branch in zip(heard.points, heard.exits.branches, strict=True) if cut.name in wanted_names
    ]
    kept = sorted({0, captured.end, *(branch.position for branch in branches)})
    names = [captured.cuts[position].name for position in kept]
    end = len(kept) - 1
    keys = set()
    for one in sets:
        stops = [0, *(names.index(point) for point in one.points), end]
        keys |= {(start, stop, stop != end) for start, stop in pairwise(stops)}
    # Timing begins with the feature at each branch, straight from the sample.
    keys |= {(0, names.index(name), True) for name in wanted_names}
    write_bundle(
        path,
        captured,
        kept,
        name="placement",
        labels=[str(index) for index in range(captured.classes)],
        branches=branches,
        final_temperature=heard.exits.final_temperature,
        reference=torch.from_numpy(np.array(test.samples[:8])),
        wanted=lambda start, stop, branch: (start, stop, branch) in keys,
    )
    return open_bundle(path)


def asked_of(bundle: Bundle, one: ExitSet) -> list[int]:
    names = [cut.name for cut in bundle.manifest.cuts]
    return [names.index(point) for point in one.points]


def predicted(bundle: Bundle, sets: Sequence[ExitSet]) -> dict[str, float]:
    """From the times of segments, and from who left on the calibration split.

    A segment of several sets takes as many turns as they do when they are measured: it finds its weights in the cache.
    """
    roads = {one.name: road_of(bundle.manifest, asked_of(bundle, one)) for one in sets}
    apart = {_asks(one): roads[one.name] for one in sets}
    keys = [key for road in apart.values() for key in road]
    seconds = time_segments(bundle, keys, POLICY, lambda done, total: tell("timing segments", done, total))
    return {
        one.name: sum(share * seconds[key] for share, key in zip(one.reach(), roads[one.name], strict=True))
        for one in sets
    }


def measured(bundle: Bundle, sets: Sequence[ExitSet], test: DataSet, repeats: int) -> dict[str, Measured]:
    """Every sample through every set, as a device goes: segment, decision, segment, …

    Sets that come to the same are measured as one: what runs several times a turn finds its weights in the cache.
    """
    rng = np.random.default_rng(2)
    same = {one.name: next(other.name for other in sets if _asks(other) == _asks(one)) for one in sets}
    with OnnxRuntime(bundle, capacity=2 * len(bundle.manifest.segments)) as runtime:
        devices = {one.name: _Device(bundle, runtime, one) for one in sets if same[one.name] == one.name}
        names = list(devices)
        seconds = {name: np.zeros((repeats, len(test))) for name in names}
        right = {name: np.zeros(len(test), np.bool_) for name in names}
        way = {name: np.zeros(len(test), np.int64) for name in names}
        for device in devices.values():
            device.infer(test.samples[:1])
        for repeat in range(repeats):
            for row in range(len(test)):
                sample = np.ascontiguousarray(test.samples[row : row + 1])
                for place in rng.permutation(len(names)):
                    name = names[place]
                    before = time.perf_counter()
                    label, way[name][row] = devices[name].infer(sample)
                    seconds[name][repeat, row] = time.perf_counter() - before
                    right[name][row] = label == test.truth_N[row]
                if row % 100 == 0:
                    tell("measuring", repeat * len(test) + row, repeats * len(test))
    return {
        name: Measured(seconds_RN=seconds[first], way_N=way[first], right_N=right[first])
        for name, first in same.items()
    }


def _asks(one: ExitSet) -> tuple[object, ...]:
    return one.points, one.thresholds


class _Device:
    """A set's way through the network, at batch 1."""

    def __init__(self, bundle: Bundle, runtime: OnnxRuntime, one: ExitSet) -> None:
        asked = asked_of(bundle, one)
        road = road_of(bundle.manifest, asked)
        self._legs = [(runtime.open(start, stop, branch=branch), stop) for start, stop, branch in road]
        pairs = tuple(
            (cut, threshold) for cut, threshold in zip(asked, one.thresholds, strict=True) if threshold is not None
        )
        self._policy = open_policy(ExitRule(policy=POLICY, thresholds=pairs) if pairs else NO_EXIT)
        self._end = bundle.manifest.end

    def infer(self, sample: Array) -> tuple[int, int]:
        """The label, and how many segments ran."""
        feature: Feature = (sample,)
        state = NO_STATE
        ran = 0
        for segment, stop in self._legs:
            ran += 1
            outputs = segment.run(feature)
            assert outputs.logits_NK is not None
            assert outputs.scores_NS is not None
            if stop == self._end:
                break
            decision, state = self._policy.decide(BranchOutputs(stop, outputs.logits_NK, outputs.scores_NS), state)
            if decision.leaves_N[0]:
                break
            feature = outputs.feature
        return int(outputs.logits_NK[0].argmax()), ran


_told: list[str] = []


def tell(what: str, done: int, total: int) -> None:
    """Each step once; how far it is, where somebody looks."""
    if not _told or _told[-1] != what:
        _told.append(what)
        print(f"  {what} …", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and total > 1:
        print(f"\r  {what} {done:,} of {total:,}  ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
