"""The part of a build in which the network learns: alone, and together with its branches.

    network ─► trained alone (Recipe.train) ─► trained with its branches (Recipe.joint) ─► captured again, weights saved

Whatever was interrupted goes on when the same recipe is followed again.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from offramp.data import Parts
from offramp.errors import InputError
from offramp_builder.bottlenecks.training import Begun, begin
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.supervising import throw_away_classifiers
from offramp_builder.bundle import REFERENCES
from offramp_builder.capture import Captured, capture
from offramp_builder.joint.narrowing import Narrowing
from offramp_builder.joint.settings import JointSettings
from offramp_builder.joint.training import Together, as_they_learned, check_joint, train_jointly
from offramp_builder.preprocess import preprocessor
from offramp_builder.pretrained import LearnedBranch, branches_of, save_weights
from offramp_builder.progress import Screen
from offramp_builder.recipe import Recipe
from offramp_builder.sources import Sources
from offramp_builder.teachers import Teacher, tell
from offramp_builder.training.augment import allowed
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.supervision import Supervision
from offramp_builder.training.trainer import train

_SCALING = BranchSettings().scaling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """A network that has learned what its recipe asks."""

    captured: Captured
    branches: dict[int, nn.Module] | None
    """Those that learned together with it, by position; None where branches are still to be fitted."""
    begun: Sequence[Begun] = ()
    """Bottlenecks that learned together with it, and have yet to learn behind what it is now."""


def learn(
    captured: Captured, positions: Sequence[int], recipe: Recipe, sources: Sources, out: Path, screen: Screen
) -> Learned:
    """Train the network, in place, as the recipe says; `out` is where its bundle will lie.

    Raises:
        OfframpError: Something in the recipe does not fit the network, its data or an interrupted training.
    """
    parts, model = sources.parts, captured.road.model
    if not recipe.learns or parts is None:
        return Learned(captured=captured, branches=_learned_before(captured, positions, recipe, screen))
    if recipe.joint:  # hours of training come before it is needed
        check_joint(captured, positions, recipe.branch_kind, recipe.joint)
    if recipe.save_weights is not None and not recipe.save_weights.parent.is_dir():
        raise InputError(f"there is no folder {recipe.save_weights.parent} to save weights in; make it first")
    alone_NK, together_NK = (
        _told(settings, recipe, sources, parts, screen) for settings in (recipe.train, recipe.joint)
    )
    if recipe.train:
        _train_alone(captured, positions, recipe.train, recipe.branch_kind, parts, alone_NK, out, screen)
        captured = capture_road(model, sources)
    exits, narrowing = None, None
    if recipe.joint:
        if recipe.bottleneck and recipe.bottleneck.together:
            known = _known_branches(captured, positions, recipe)
            narrowing = Narrowing(captured, begin(captured, recipe.bottleneck, parts, known), recipe.bottleneck)
        exits = _train_together(captured, positions, recipe, recipe.joint, parts, narrowing, together_NK, out, screen)
        captured = capture_road(model, sources)
    if recipe.save_weights is not None:
        branches = exits.learned if exits else None
        save_weights(model, recipe.save_weights, mean=sources.mean, std=sources.std, branches=branches)
    return Learned(
        captured=captured, branches=exits.networks if exits else None, begun=narrowing.begun if narrowing else ()
    )


def capture_road(model: nn.Module, sources: Sources) -> Captured:
    """The network as it is now, with the preprocessing that its samples need."""
    preprocess = preprocessor(sources.sample, mean=sources.mean, std=sources.std)
    return capture(model, sources.sample, preprocess, examples=examples_of(sources.parts))


def examples_of(parts: Parts | None) -> Tensor | None:
    """A few calibration samples, from different groups."""
    if parts is None:
        return None
    rows = np.linspace(0, len(parts.calibration) - 1, REFERENCES).astype(np.int64)
    return torch.from_numpy(np.array(parts.calibration.samples[rows]))


def checkpoints_of(out: Path) -> tuple[Path, Path]:
    """Where interrupted trainings for this bundle wait: of the network alone, and together with its branches."""
    return out.with_name(f".{out.name}.training.pt"), out.with_name(f".{out.name}.joint.pt")


def checkpoint_of_bottleneck(out: Path, step: str) -> Path:
    """Where an interrupted training of a bottleneck waits."""
    return out.with_name(f".{out.name}.bottleneck-{step}.pt")


def interrupted_bottlenecks(out: Path) -> list[Path]:
    """Where some do."""
    return sorted(out.parent.glob(f".{glob.escape(out.name)}.bottleneck-*.pt"))


def _train_alone(
    captured: Captured,
    positions: Sequence[int],
    settings: TrainSettings,
    branch_kind: str,
    parts: Parts,
    told_NK: Tensor | None,
    out: Path,
    screen: Screen,
) -> None:
    settings, (waiting, _) = allowed(settings, parts.train), checkpoints_of(out)
    _announce(f"training on {len(parts.train):,} samples for {settings.epochs} epoch(s)", waiting, screen)
    supervised = throw_away_classifiers(captured, positions, branch_kind) if settings.supervise else []
    objective = Supervision(captured.road, supervised, settings)
    train(
        captured.road,
        parts.train,
        settings,
        objective=objective,
        told_NK=told_NK,
        checkpoint=waiting,
        watch=screen,
    )


def _train_together(
    captured: Captured,
    positions: Sequence[int],
    recipe: Recipe,
    settings: JointSettings,
    parts: Parts,
    narrowing: Narrowing | None,
    told_NK: Tensor | None,
    out: Path,
    screen: Screen,
) -> Together:
    settings, (_, waiting) = allowed(settings, parts.train), checkpoints_of(out)
    what = "network, branches and bottlenecks" if narrowing else "network and branches"
    _announce(f"training {what} together for {settings.epochs} epoch(s)", waiting, screen)
    return train_jointly(
        captured,
        positions,
        recipe.branch_kind,
        parts.train,
        settings,
        trained=recipe.train is not None or recipe.weights is not None,
        narrowing=narrowing,
        told_NK=told_NK,
        begun=_begun_branches(recipe, screen),
        seed=recipe.seed_of_branches,
        checkpoint=waiting,
        watch=screen,
        progress=screen.progress,
    )


def _learned_before(
    captured: Captured, positions: Sequence[int], recipe: Recipe, screen: Screen
) -> dict[int, nn.Module] | None:
    """Those that the weights learned with, where all that are asked for are there, and nothing asks for others."""
    others = recipe.branch_seed is not None or replace(recipe.branch_settings, scaling=_SCALING) != BranchSettings()
    if recipe.weights is None or not positions or others:
        return None
    found = as_they_learned(captured, positions, recipe.branch_kind, branches_of(recipe.weights))
    if found:
        screen.say(f"{recipe.branch_kind} branches as they learned with {recipe.weights}; --branch-seed fits others")
    return found


def _known_branches(captured: Captured, positions: Sequence[int], recipe: Recipe) -> dict[int, nn.Module]:
    """What the weights' branches are before the network learns on with them; none where it begins with others."""
    if recipe.weights is None or recipe.train:
        return {}
    return as_they_learned(captured, positions, recipe.branch_kind, branches_of(recipe.weights)) or {}


def _begun_branches(recipe: Recipe, screen: Screen) -> dict[str, LearnedBranch]:
    """Those of the weights that the network began with, unless it has learned on without them."""
    if recipe.weights is None or recipe.train:
        return {}
    found = branches_of(recipe.weights)
    if going := [name for name, branch in found.items() if branch.kind == recipe.branch_kind]:
        screen.say(f"{recipe.branch_kind} branches at {', '.join(going)} go on from {recipe.weights}")
    return found


def _told(
    settings: TrainSettings | None, recipe: Recipe, sources: Sources, parts: Parts, screen: Screen
) -> Tensor | None:
    """What the teachers of one training say of each of its samples."""
    if settings is None or not settings.teachers:
        return None
    teachers = [Teacher.parse(text, recipe.model).open(sources) for text in settings.teachers]
    mirrored = bool(allowed(settings, parts.train).flip)
    return tell(teachers, parts.train, mirrored=mirrored, progress=screen.progress)


def _announce(what: str, checkpoint: Path, screen: Screen) -> None:
    screen.say(what)
    if checkpoint.is_file():
        screen.say(f"going on from {checkpoint}")
