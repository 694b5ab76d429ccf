"""`offramp build`: flags to a recipe, a recipe to a bundle, a bundle to a summary."""

import argparse
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from offramp.cli import DONE, INTERRUPTED
from offramp.errors import InputError, MissingExtraError, SettingsError
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import read_recipe, shipped_recipes
from offramp_builder.training.settings import OPTIMIZERS, TrainSettings

_EXAMPLES = """\
examples:
  offramp build --model zoo:resnet20 --data cifar10:PATH --train 30 --out bundles/resnet20
  offramp build --model mynet:make --weights mynet.pt --data folder:pictures --input-size 224x224x3 --out bundles/mine
  offramp build --model zoo:mobilenet_v2 --untrained --cuts 4 --out bundles/speed
  offramp build --recipe cifar10-resnet20 --data cifar10:PATH --out bundles/cifar10
  offramp build --recipe mine.toml --branches 3 --out bundles/mine

{recipes}

data: camera-digits, cifar10:FOLDER, folder:FOLDER, mnist:FOLDER, npz:FILE
"""
_PACKAGES = {"torch": "torch", "onnx": "onnx", "onnxscript": "onnxscript", "rich": "rich"}


class BuildCommand:
    """Make a bundle from a network: cuts, branches, segments, calibration."""

    summary = "make a bundle from a network: find its cuts, train its branches, write its segments"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = _EXAMPLES.format(recipes=_told_recipes())
        parser.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="the bundle; a bundle there is replaced"
        )
        parser.add_argument(
            "--recipe", metavar="NAME|FILE.toml", help="begin with a recipe (see below); other flags override it"
        )
        parser.add_argument("--name", help="what people call the bundle (default: the model's name)")
        parser.add_argument("--seed", type=int, help="for everything drawn at random (default: 0)")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON, and no progress")

        network = parser.add_argument_group("network")
        network.add_argument(
            "--model", metavar="NAME", help="zoo:NAME, or package.module:factory (found from here too)"
        )
        network.add_argument(
            "--weights",
            type=Path,
            metavar="FILE",
            help="a state_dict: .pt, .npz or .safetensors; with --train, trained on from there",
        )
        network.add_argument("--untrained", action="store_true", default=None, help="accept random weights: speed only")
        network.add_argument(
            "--input-size", metavar="HxWxC", help="of a raw sample: 224, 224x224, 224x224x1, or 16000x"
        )
        network.add_argument("--input-kind", metavar="KIND", help="of a raw sample: image, audio, ecg or array")
        network.add_argument("--mean", metavar="M,M,M", help="per channel, of values in [0, 1]")
        network.add_argument("--std", metavar="S,S,S", help="per channel, of values in [0, 1]")

        data = parser.add_argument_group("data")
        data.add_argument("--data", metavar="KIND:PATH", help="samples to train, calibrate and test on")
        data.add_argument("--limit", type=int, metavar="N", help="at most so many samples of each part")
        data.add_argument(
            "--labels", metavar="A,B,…|FILE", help="class names, or a file with one a line (default: the data's)"
        )

        points = parser.add_argument_group("cuts and branches")
        points.add_argument(
            "--cuts", metavar="auto|all|N|NAMES", help="cuts to keep (default: auto, at most 8 and the ends)"
        )
        points.add_argument("--branches", metavar="auto|N|NAMES|none", help="exits before the end (default: auto, two)")
        points.add_argument(
            "--branch-kind",
            metavar="KIND",
            help="linear (default), sidenet, conv, eenets, exclusion or ensemble: see docs/exits.md",
        )
        points.add_argument(
            "--distill", type=float, metavar="W", help="share of what branches learn from the end (default: 0)"
        )
        points.add_argument(
            "--cost-weight", type=float, metavar="L", help="eenets: what all operations are worth (default: 1 nat)"
        )

        training = parser.add_argument_group("training")
        training.add_argument(
            "--train", type=int, metavar="EPOCHS", help="train the network first (resumes when interrupted)"
        )
        training.add_argument("--batch", type=int, metavar="N", help="samples a step (default: 128)")
        training.add_argument("--optimizer", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (default: auto)")
        training.add_argument(
            "--learning-rate", type=float, metavar="R", help="at its peak (default: sgd 0.1, adamw 0.001, muon 0.05)"
        )
        training.add_argument("--weight-decay", type=float, metavar="D", help="(default: sgd, muon 0.0005, adamw 0.05)")
        training.add_argument(
            "--small-first", metavar="EPOCHSxPIXELS,…", help="begin on shrunk pictures, such as 18x20,12x24"
        )
        training.add_argument("--smoothing", type=float, metavar="S", help="of the labels (default: 0)")
        training.add_argument(
            "--shift", type=float, metavar="S", help="move samples by up to this share (default: 0.125)"
        )
        training.add_argument(
            "--flip",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="mirror pictures (default: as the data say)",
        )
        training.add_argument(
            "--supervise",
            type=float,
            metavar="W",
            help="train early features for the branches, with this weight (default: 0)",
        )

    def run(self, args: argparse.Namespace) -> int:
        recipe = recipe_from(args)
        for module, package in _PACKAGES.items():
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(package, "builder", "offramp build")
        from offramp_builder.building import build, checkpoint_of
        from offramp_builder.progress import Screen
        from offramp_builder.summary import as_json, print_summary

        try:
            with Screen(quiet=args.json) as screen:
                if recipe.untrained:
                    screen.warn("the network is untrained: the bundle measures speed, its answers mean nothing")
                built = build(recipe, args.out, screen)
        except KeyboardInterrupt:
            goes_on = checkpoint_of(args.out).is_file()
            way_on = "; the same command goes on from the last whole epoch of training" if goes_on else ""
            print(f"offramp: stopped{way_on}", file=sys.stderr)
            return INTERRUPTED
        if args.json:
            print(json.dumps(as_json(built, args.out)))
        else:
            print_summary(built, args.out)
        return DONE


BUILD = BuildCommand()


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The recipe that the flags describe: that of `--recipe`, with what other flags say in its place.

    Raises:
        SettingsError: A flag or a key of the recipe has no valid meaning, or flags contradict each other.
    """
    base = read_recipe(args.recipe) if args.recipe is not None else {}
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
        "branch_kind": args.branch_kind,
        "branch_settings": _branch_settings(args, base.get("branch_settings", BranchSettings())),
        "seed": args.seed,
        "train": _training(args, base.pop("train", None)),
    }
    if args.untrained and (args.weights or args.train):
        raise SettingsError("--untrained contradicts --weights and --train; leave it out")
    return Recipe(**base | {name: value for name, value in given.items() if value is not None})


def _told_recipes() -> str:
    return "\n".join(["recipes:", *(f"  {name}: {summary}" for name, summary in shipped_recipes().items())])


def _branch_settings(args: argparse.Namespace, base: BranchSettings) -> BranchSettings:
    given = {"distill": args.distill, "cost_weight": args.cost_weight}
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _training(args: argparse.Namespace, base: TrainSettings | None) -> TrainSettings | None:
    given = {
        "epochs": args.train,
        "batch": args.batch,
        "optimizer": args.optimizer,
        "rate": args.learning_rate,
        "decay": args.weight_decay,
        "small_first": _phases(args.small_first),
        "smoothing": args.smoothing,
        "shift": args.shift,
        "flip": args.flip,
        "supervise": args.supervise,
        "seed": args.seed,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if base is None and args.train is None and set(given) - {"seed"} and not args.untrained:
        raise SettingsError(f"{sorted(set(given) - {'seed'})[0]} belongs to training; give --train EPOCHS")
    if args.untrained or (args.weights and args.train is None):
        return None  # weights stand in the place of the recipe's training
    if base is not None:
        return replace(base, **given)
    return TrainSettings(**given) if args.train is not None else None


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
