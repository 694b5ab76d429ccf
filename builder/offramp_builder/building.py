"""From a recipe to a bundle.

    data ─ split ─┐
    network, weights ┴► capture ─► learn ─► capture ─► branches, temperatures ─► ranges ─► write ─► candidates

The first capture is a trial: a network that cannot be divided is refused before hours of training, not after.
"""

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import file_entry, open_bundle
from offramp.bundle.tables import CutTables
from offramp.data import DataSet, Parts
from offramp.data.held_out import to_fit
from offramp.errors import ModelError
from offramp.exits.certificate import Certificate
from offramp.measure.calibration import FITTED, LIMIT
from offramp.planning.attach import attach_candidates
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.bottlenecks.around import check_bottlenecks
from offramp_builder.bottlenecks.training import TrainedBottleneck, told, train_bottlenecks
from offramp_builder.branches.placing import place_branches
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import TrainedExits, calibrated, train_branches
from offramp_builder.branches.untrained import untrained_branches
from offramp_builder.bundle import check_place, write_bundle
from offramp_builder.capture import Captured, random_samples
from offramp_builder.certifying import attach_certificate, order_of
from offramp_builder.choose import choose_cuts
from offramp_builder.int8.head import attach_int8
from offramp_builder.learning import (
    Learned,
    capture_road,
    checkpoint_of_bottleneck,
    checkpoints_of,
    examples_of,
    interrupted_bottlenecks,
    learn,
)
from offramp_builder.models import open_model
from offramp_builder.placement.own import KIND as OWN
from offramp_builder.placement.search import Searched, attach_exits, search
from offramp_builder.placement.settings import SEARCH
from offramp_builder.pretrained import load_weights
from offramp_builder.progress import Screen
from offramp_builder.ranges import calibrate
from offramp_builder.recipe import Recipe
from offramp_builder.segments import Branch
from offramp_builder.sources import Sources, gather
from offramp_builder.tables import tabulate
from offramp_builder.teachers import Teacher
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import batches_of, evaluate

_RANGED_BY = 1_000
"""Calibration samples that ranges are taken from."""
_TABULATED_BY = 500
"""Of those, samples that the tables of codecs are made from; they hold whole features of theirs in memory."""
_JUDGED_BY = 1_500
"""Calibration samples that candidates are judged by: evenly drawn, so that every run of frames is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A bundle that was written, and how good it is."""

    manifest: Manifest
    sizes: str
    """Of the three parts; empty without data."""
    test_accuracy: float | None
    """Of the whole network on the test split, in [0, 1]; None when untrained or without data."""
    candidates: int
    """Plans that were judged and shipped with the bundle."""
    certificate: Certificate | None
    """Of its exits; None where none was asked for, or nothing keeps the promise."""


def build(recipe: Recipe, out: Path, screen: Screen) -> Built:
    """Follow a recipe; the bundle lies in `out` afterwards.

    An interrupted training goes on when the same recipe is followed again.

    Raises:
        OfframpError: Something that the recipe names cannot be used, or something else lies in `out`.
    """
    check_place(out)
    order = order_of(recipe)
    screen.say(f"reading {recipe.data}" if recipe.data else "no data: nothing is trained or calibrated")
    sources, data = gather(recipe)
    _report_skipped(data, screen)
    torch.manual_seed(recipe.seed)
    model = open_model(recipe.model, sources.sample, len(sources.labels))
    if recipe.weights:
        load_weights(model, recipe.weights)
        if sources.sample.kind == "image" and not sources.mean:
            screen.warn("no --mean and --std: pixels are only divided by 255; give those that the weights learned with")
    captured = capture_road(model, sources)
    labels = _labels(captured, sources)
    request = branch_request(captured, recipe)
    positions = place_branches(captured, request)
    around = check_bottlenecks(captured, recipe.bottleneck) if recipe.bottleneck else []
    narrowed = [one.leaves for one in around]
    kept = choose_cuts(captured, recipe.cuts, [*positions, *narrowed])
    hanging = ", ".join(captured.cuts[position].name for position in positions) or "none"
    screen.say(
        f"{recipe.model}: {captured.macs / 1e6:.1f} M multiply-accumulates, {len(captured.cuts)} cuts found, "
        f"{len(kept)} kept, branches at {'places to be searched for' if request == SEARCH else hanging}"
    )
    learned = learn(captured, positions, recipe, sources, out, screen)
    captured = learned.captured
    searched = _search(learned, recipe, sources.parts, screen) if request == SEARCH else None
    exits = searched.exits if searched else _exits(learned, positions, recipe, sources.parts, screen)
    if searched:
        kept = choose_cuts(captured, recipe.cuts, [*(branch.position for branch in exits.branches), *narrowed])
    bottlenecks = _bottlenecks(learned, exits, recipe, sources.parts, out, screen)
    test_accuracy = None
    if sources.parts and not recipe.untrained:
        screen.progress("testing", 0, 1)
        test_accuracy = evaluate(captured.road, sources.parts.test)
    screen.progress("writing segments", 0, 1)
    ranging = _ranging(recipe, sources)
    ranges = calibrate(captured, kept, ranging) if ranging else None
    tabulated: dict[int | str, CutTables] = {}
    if sources.parts and ranges:
        tabulated |= tabulate(captured, kept, _thinned(_TABULATED_BY, ranging), ranges)
    tabulated |= {one.bottleneck.name: one.tables for one in bottlenecks}
    manifest = write_bundle(
        out,
        captured,
        kept,
        name=recipe.name or recipe.model.rpartition(":")[2],
        labels=labels,
        branches=exits.branches,
        bottlenecks=[one.bottleneck for one in bottlenecks],
        ranges=ranges,
        tables=tabulated or None,
        final_temperature=exits.final_temperature,
        final_accuracy=exits.final_accuracy,
        provenance=_provenance(recipe, sources, data, test_accuracy) | told(bottlenecks),
        reference=examples_of(sources.parts),
    )
    if searched:
        attach_exits(open_bundle(out), searched.table, screen.progress)
    if recipe.int8 and sources.parts:
        attach_int8(open_bundle(out), sources.parts.calibration, screen.progress)
    calibration = sources.parts.calibration if sources.parts and not recipe.untrained else None
    judged = attach_plans(out, calibration, screen.progress) if calibration else 0
    certificate = attach_certificate(out, sources.parts, order, screen) if sources.parts and order else None
    for checkpoint in (*checkpoints_of(out), *interrupted_bottlenecks(out)):
        checkpoint.unlink(missing_ok=True)
    return Built(
        manifest=open_bundle(out).manifest if judged else manifest,
        sizes=sources.parts.sizes() if sources.parts else "",
        test_accuracy=test_accuracy,
        candidates=judged,
        certificate=certificate,
    )


def _report_skipped(data: DataSet | None, screen: Screen) -> None:
    if data is None or not data.skipped:
        return
    screen.warn(f"{len(data.skipped)} of {len(data) + len(data.skipped)} files could not be read and are left out:")
    for where, why in data.skipped[:5]:
        screen.say(f"  {why if where in why else f'{where}: {why}'}")
    if len(data.skipped) > 5:
        screen.say(f"  … and {len(data.skipped) - 5} more")


def _labels(captured: Captured, sources: Sources) -> tuple[str, ...]:
    labels = sources.labels or tuple(map(str, range(captured.classes)))
    if len(labels) != captured.classes:
        raise ModelError(
            f"the network tells {captured.classes} classes apart, but there are {len(labels)} labels; "
            f"give --labels with one name for each class of the network, in its order"
        )
    return labels


def _exits(
    learned: Learned, positions: Sequence[int], recipe: Recipe, parts: Parts | None, screen: Screen
) -> TrainedExits:
    captured = learned.captured
    if branch_request(captured, recipe) == OWN:
        return _own_exits(captured, parts, screen)
    if recipe.untrained or parts is None:
        if positions and not recipe.untrained:
            raise ModelError("branches are trained on samples; give --data, or --branches none")
        branches = untrained_branches(captured, positions, recipe.branch_kind, seed=recipe.seed_of_branches)
        return TrainedExits(branches=branches, final_temperature=1.0, final_accuracy=None)
    if learned.branches is not None:
        return calibrated(
            captured,
            learned.branches,
            recipe.branch_kind,
            parts.calibration,
            screen.progress,
            scaling=recipe.branch_settings.scaling,
        )
    return train_branches(
        captured,
        positions,
        recipe.branch_kind,
        train=parts.train,
        calibration=parts.calibration,
        settings=recipe.branch_settings,
        seed=recipe.seed_of_branches,
        progress=screen.progress,
    )


def _bottlenecks(
    learned: Learned, exits: TrainedExits, recipe: Recipe, parts: Parts | None, out: Path, screen: Screen
) -> list[TrainedBottleneck]:
    if recipe.bottleneck is None or parts is None:
        return []
    settings = recipe.bottleneck
    screen.say(f"bottlenecks at {settings.at}: training on {len(parts.train):,} samples for {settings.epochs} epoch(s)")
    trained = train_bottlenecks(
        learned.captured,
        settings,
        parts,
        branches={branch.position: branch.network for branch in exits.branches},
        begun=learned.begun,
        waiting=lambda step: checkpoint_of_bottleneck(out, step),
        watch=screen,
        progress=screen.progress,
    )
    for one in trained:
        screen.say(f"{one.bottleneck.name}: {one.summary}")
    return trained


def branch_request(captured: Captured, recipe: Recipe) -> str:
    """Where branches hang: of a network that has exits of its own, and is not trained here, those, unless others are
    asked for.
    """
    request = recipe.branches.strip()
    return OWN if request == "auto" and captured.own and not recipe.learns else request


def _own_exits(captured: Captured, parts: Parts | None, screen: Screen) -> TrainedExits:
    """The exits that the network brought along, as they are; their temperatures are fitted."""
    networks = {own.position: own.network for own in captured.own}
    if parts is not None:
        return calibrated(captured, networks, OWN, parts.calibration, screen.progress)
    branches = tuple(Branch(position=position, kind=OWN, network=network) for position, network in networks.items())
    return TrainedExits(branches=branches, final_temperature=1.0, final_accuracy=None)


def _search(learned: Learned, recipe: Recipe, parts: Parts | None, screen: Screen) -> Searched:
    if recipe.untrained or parts is None:
        raise ModelError("exits are searched for by what they say of samples; give --data and --weights or --train")
    if learned.branches is not None:
        raise ModelError(
            "--branches search tries branches on a network that stands still; train it first, and search then with "
            "--weights; or name where branches hang that are trained with it"
        )
    return search(
        learned.captured,
        recipe.branch_kind,
        train=parts.train,
        calibration=parts.calibration,
        settings=recipe.search,
        branch_settings=recipe.branch_settings,
        seed=recipe.seed_of_branches,
        tell=screen.progress,
    )


def _ranging(recipe: Recipe, sources: Sources) -> list[Tensor]:
    """Batches that ranges are taken from; noise only where the bundle measures nothing but speed."""
    if sources.parts:
        calibration = sources.parts.calibration
        rows = _evenly(len(calibration), _RANGED_BY)
        return [torch.from_numpy(batch) for batch in batches_of(calibration.samples[rows])]
    return [random_samples(sources.sample, 16)] if recipe.untrained else []


def _thinned(count: int, batches: list[Tensor]) -> Iterator[Tensor]:
    """Every so many samples that there are `count` or a few more; groups of samples lie together, so not the first."""
    step = max(1, sum(map(len, batches)) // count)
    for batch in batches:
        yield batch[::step]


def attach_plans(out: Path, calibration: DataSet, tell: Callable[[str, int, int], None]) -> int:
    """Judge plans with the segments and codecs that will be deployed; how many are worth considering."""
    bundle = open_bundle(out)
    judges = calibration.take(_evenly(len(calibration), _JUDGED_BY))
    found = attach_candidates(
        bundle,
        OnnxRuntime(bundle, capacity=len(bundle.manifest.segments)),
        judges.samples,
        judges.truth_N,
        judges.group_N,
        lambda done, total: tell("judging plans", done, total),
    )
    return len(found.candidates)


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _provenance(recipe: Recipe, sources: Sources, data: DataSet | None, test_accuracy: float | None) -> dict[str, str]:
    """How the bundle came to be, for people and for comparing."""
    found = {"model": recipe.model, "seed": str(recipe.seed), "torch": torch.__version__, "numpy": np.__version__}
    found["python"] = platform.python_version()
    if sources.mean or sources.std:
        found["mean"], found["std"] = str(list(sources.mean)), str(list(sources.std))
    if recipe.weights:
        found["weights"] = _file_told(recipe.weights)
    if data is not None and sources.parts is not None:
        found["data"], found["data_sha256"] = data.name, data.digest
        found["split"] = sources.parts.sizes()
        found["calibration_groups"] = str(sources.parts.calibration.groups)
        seen_N = to_fit(sources.parts.calibration.group_N)
        if not seen_N.all():
            found[FITTED] = f"{int(seen_N.sum()):,} of the calibration samples"
    if recipe.limit is not None:
        found[LIMIT] = str(recipe.limit)
    if recipe.train:
        found["training"] = _settings_told(recipe.train)
    if recipe.joint:
        found["joint"] = _settings_told(recipe.joint)
    if recipe.bottleneck:
        found["bottlenecks"] = recipe.bottleneck.at
    for number, teacher in enumerate(_teachers(recipe), 1):
        found[f"teacher_{number}"] = f"{teacher.model} {_file_told(teacher.weights)}"
    if recipe.branch_seed is not None:
        found["branch_seed"] = str(recipe.branch_seed)
    if recipe.branch_settings != BranchSettings():
        found["branches"] = _settings_told(recipe.branch_settings)
    if recipe.untrained:
        found["untrained"] = "random weights: for measuring speed only"
    if test_accuracy is not None:
        found["test_accuracy"] = f"{test_accuracy:.4f}"
    return found


def _settings_told(settings: TrainSettings | BranchSettings) -> str:
    told = {key: value for key, value in asdict(settings).items() if key != "teachers"}
    return ", ".join(f"{key}={value}" for key, value in told.items())


def _teachers(recipe: Recipe) -> list[Teacher]:
    named = [text for settings in (recipe.train, recipe.joint) if settings for text in settings.teachers]
    return [Teacher.parse(text, recipe.model) for text in dict.fromkeys(named)]


def _file_told(path: Path) -> str:
    """Its name and what is in it: where it lies is nobody else's business."""
    return f"{path.name} sha256:{file_entry(path).sha256}"
