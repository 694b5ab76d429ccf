"""From the flags of `offramp build` to a recipe."""

import argparse
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from offramp.errors import InputError, SettingsError
from offramp.units import parse_share
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.joint.settings import JointSettings
from offramp_builder.placement.settings import SearchSettings
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import read_recipe
from offramp_builder.training.settings import TrainSettings

JOINT_EPOCHS = 10
"""Enough for a trunk that was trained already; from scratch it takes as many as any training."""
_OF_THE_TRUNK_ALONE = {"epochs", "rate", "small_first", "supervise", "seed"}
_FLAGS = {"rate": "--learning-rate", "decay": "--weight-decay", "teachers": "--teacher"}
"""Of settings that have another name on the command line."""


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The recipe that the flags describe: that of `--recipe`, with what other flags say in its place.

    Raises:
        SettingsError: A flag or a key of the recipe has no valid meaning, or flags contradict each other.
    """
    base = read_recipe(args.recipe) if args.recipe is not None else {}
    train, joint, bottleneck = (base.pop(table, None) for table in ("train", "joint", "bottleneck"))
    if args.model is None and "model" not in base:
        raise SettingsError("nothing to build; give --model zoo:NAME, --model package.module:factory, or --recipe demo")
    given: dict[str, Any] = {
        "model": args.model,
        "name": args.name,
        "data": args.data,
        "limit": args.limit,
        "weights": args.weights,
        "untrained": args.untrained,
        "shape": _size(args.input_size),
        "kind": args.input_kind,
        "mean": _numbers(args.mean, "--mean"),
        "std": _numbers(args.std, "--std"),
        "labels": _labels(args.labels),
        "cuts": args.cuts,
        "branches": args.branches,
        "branch_kind": args.branch_kind or _taught_kind(args, base),
        "branch_settings": _branch_settings(args, base.get("branch_settings", BranchSettings())),
        "search": _searching(args, base.get("search", SearchSettings())),
        "confidence": None if args.confidence is None else parse_share(args.confidence),
        "seed": args.seed,
        "branch_seed": args.branch_seed,
        "save_weights": args.save_weights,
        "int8": args.int8,
        "train": _training(args, train, joint),
        "joint": _together(args, joint, train),
        "bottleneck": _bottleneck(args, bottleneck),
    }
    if args.untrained and (args.weights or args.train or args.joint):
        raise SettingsError("--untrained contradicts --weights, --train and --joint; leave it out")
    return Recipe(**base | _given(given))


def _branch_settings(args: argparse.Namespace, base: BranchSettings) -> BranchSettings:
    given = {"distill": args.distill, "cost_weight": args.cost_weight, "scaling": args.scaling}
    return replace(base, **_given(given))


def _searching(args: argparse.Namespace, base: SearchSettings) -> SearchSettings:
    drop = None if args.drop is None else parse_share(args.drop)
    return replace(base, **_given({"drop": drop, "most": args.most}))


def _training(
    args: argparse.Namespace, base: TrainSettings | None, joint: JointSettings | None
) -> TrainSettings | None:
    """`joint` is the recipe's, which flags of any training may be meant for."""
    given = _given(
        {"epochs": args.train, "rate": args.learning_rate, "supervise": args.supervise, "seed": args.seed}
        | _of_any_training(args)
    )
    if _trains(args, base):
        return replace(base, **given) if base is not None else TrainSettings(**given)
    together = joint is not None or args.joint is not None
    idle = set(given) - {"seed"} - (set(_of_any_training(args)) if together else set())
    if idle and not args.untrained:
        what = min(_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in idle)
        stands = "--weights stand in the place of training: " if args.weights and base is not None else ""
        raise SettingsError(f"{stands}{what} belongs to training; give --train EPOCHS{' too' if stands else ''}")
    return None


def _trains(args: argparse.Namespace, base: TrainSettings | None) -> bool:
    """Whether the network is trained alone: weights stand in the place of the recipe's training."""
    return args.train is not None or (base is not None and not args.weights and not args.untrained)


def _together(
    args: argparse.Namespace, base: JointSettings | None, train: TrainSettings | None
) -> JointSettings | None:
    """`train` is the recipe's, whose optimizer and augmentation hold here too where nothing else is said."""
    given = _given({"loss": args.joint, "epochs": args.joint_epochs, "rate": args.joint_rate, "seed": args.seed})
    of_any = _given(_of_any_training(args))
    if _trains(args, train):
        of_any.pop("small_first", None)  # it is for the training that comes first
    if args.untrained:
        return None
    if base is not None:
        return replace(base, **of_any | given)
    if args.joint is not None:
        names = {field.name for field in fields(TrainSettings)} - _OF_THE_TRUNK_ALONE
        shared = {name: getattr(train, name) for name in names} if train is not None else {}
        return JointSettings(**({"epochs": JOINT_EPOCHS} | shared | of_any | given))
    if args.joint_epochs is not None or args.joint_rate is not None:
        raise SettingsError("--joint-epochs and --joint-rate belong to joint training; give --joint LOSS")
    return None


def _bottleneck(args: argparse.Namespace, base: BottleneckSettings | None) -> BottleneckSettings | None:
    given = _given(
        {
            "at": ",".join(args.bottleneck) if args.bottleneck else None,
            "together": args.bottleneck_together,
            "epochs": args.bottleneck_epochs,
            "weights": args.bottleneck_weights,
            "save": args.save_bottlenecks,
            "seed": args.seed,
        }
    )
    if args.untrained:
        return None
    if base is not None:
        return replace(base, **given)
    if args.bottleneck:
        return BottleneckSettings(**given)
    if set(given) - {"seed"}:
        raise SettingsError(
            "--bottleneck-together, --bottleneck-epochs, --bottleneck-weights and --save-bottlenecks belong to "
            "bottlenecks; give --bottleneck CUT"
        )
    return None


def _of_any_training(args: argparse.Namespace) -> dict[str, Any]:
    """What flags say of the network's own training and of that together with its branches alike."""
    return {
        "batch": args.batch,
        "optimizer": args.optimizer,
        "decay": args.weight_decay,
        "smoothing": args.smoothing,
        "shift": args.shift,
        "flip": args.flip,
        "small_first": _phases(args.small_first),
        "teachers": tuple(args.teacher) if args.teacher else None,
    }


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _taught_kind(args: argparse.Namespace, base: Mapping[str, Any]) -> str | None:
    """The one kind of branch that a joint loss teaches, where nobody names another."""
    return args.joint if args.joint in ("eenets", "exclusion") and "branch_kind" not in base else None


def _size(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in text.lower().split("x") if part)
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise SettingsError(f"{text!r} is no input size; write 224, 224x224 or 224x224x3 (or 16000x for one dimension)")
    if text.lower().endswith("x"):
        return sizes
    match sizes:
        case (side,):
            return side, side, 3
        case (height, width):
            return height, width, 3
        case _:
            return sizes


def _phases(text: str | None) -> tuple[tuple[int, int], ...] | None:
    if text is None:
        return None
    if text == "none":
        return ()
    try:
        pairs = tuple(tuple(int(part) for part in phase.split("x")) for phase in text.split(","))
        return tuple((epochs, side) for epochs, side in pairs)
    except ValueError:
        raise SettingsError(f"--small-first {text!r} is no list of EPOCHSxPIXELS; write 18x20,12x24") from None


def _numbers(text: str | None, flag: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(f"{flag} {text!r} is no list of numbers; write one per channel: 0.5,0.5,0.5") from None


def _labels(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    path = Path(text)
    if "," not in text and path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the labels in {path} cannot be read: {error}") from error
        labels = tuple(line.strip() for line in lines if line.strip())
    else:
        labels = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(labels) < 2:
        raise SettingsError(f"--labels {text!r} names {len(labels)} class(es); give names between commas, or a file")
    return labels
