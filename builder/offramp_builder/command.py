"""`offramp build`: flags to a recipe, a recipe to a bundle, a bundle to a summary."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from offramp.cli import DONE, INTERRUPTED
from offramp.errors import MissingExtraError
from offramp_builder.bottlenecks.settings import EPOCHS as BOTTLENECK_EPOCHS
from offramp_builder.joint.settings import LOSSES
from offramp_builder.recipe_file import shipped_recipes
from offramp_builder.recipe_flags import JOINT_EPOCHS, recipe_from
from offramp_builder.training.settings import OPTIMIZERS

_EXAMPLES = """\
examples:
  offramp build --model zoo:resnet20 --data cifar10:PATH --train 30 --out bundles/resnet20
  offramp build --model mynet:make --weights mynet.pt --data folder:pictures --input-size 224x224x3 --out bundles/mine
  offramp build --model mynet:make --weights mynet.pt --data folder:pictures --joint branchynet --out bundles/together
  offramp build --model mynet:make --weights mynet.pt --data folder:pictures --bottleneck layer2 --out bundles/narrow
  offramp build --model mynet:make --weights mynet.pt --data folder:pictures --int8 --out bundles/faster
  offramp build --model zoo:mobilenet_v2 --untrained --cuts 4 --out bundles/speed
  offramp build --recipe cifar10-resnet20 --data cifar10:PATH --out bundles/cifar10
  offramp build --recipe mine.toml --branches 3 --out bundles/mine

{recipes}

{data}
"""
_PACKAGES = {"torch": "torch", "onnx": "onnx", "onnxscript": "onnxscript", "rich": "rich"}


class BuildCommand:
    """Make a bundle from a network: cuts, branches, segments, calibration."""

    summary = "make a bundle from a network: find its cuts, train its branches, write its segments"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = _EXAMPLES.format(recipes=_told_recipes(), data=_told_data())
        parser.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="the bundle; a bundle there is replaced"
        )
        parser.add_argument(
            "--recipe", metavar="NAME|FILE.toml", help="begin with a recipe (see below); other flags override it"
        )
        parser.add_argument("--name", help="what people call the bundle (default: the model's name)")
        parser.add_argument("--seed", type=int, help="for everything drawn at random (default: 0)")
        parser.add_argument(
            "--branch-seed", type=int, metavar="SEED", help="for the branches alone (default: the same as --seed)"
        )
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
        network.add_argument(
            "--save-weights", type=Path, metavar="FILE", help="leave the trained network's weights there, for --weights"
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
        points.add_argument(
            "--branches",
            metavar="WHERE",
            help="exits before the end: auto (default: the network's own, else two), N, NAMES, none, search, or a "
            "rule: even:N, stages, fine:N, pareto:N, linear:N, golden:N; see docs/placement.md",
        )
        points.add_argument(
            "--drop", metavar="SHARE", help="accuracy that exits may cost, for search and certificate (default: 0.5%%)"
        )
        points.add_argument(
            "--confidence",
            metavar="SHARE",
            help="certify that exits cost no more than --drop, such as 95%%; see docs/guarantees.md",
        )
        points.add_argument("--most", type=int, metavar="N", help="search: exits at most (default: 3)")
        points.add_argument(
            "--branch-kind",
            metavar="KIND",
            help="linear (default), sidenet, conv, conv2, conv3, eenets, exclusion, ensemble, gate, gate-conv "
            "(docs/exits.md)",
        )
        points.add_argument(
            "--scaling",
            metavar="HOW",
            help="what calibrates branches: temperature (default), or vector, class by class where that says more",
        )
        points.add_argument(
            "--distill", type=float, metavar="W", help="share of what branches learn from the end (default: 0)"
        )
        points.add_argument(
            "--cost-weight",
            type=float,
            metavar="L",
            help="eenets, gates: worth of all operations (default: 1 nat)",
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
            "--small-first", metavar="EPOCHSxPIXELS,…", help="begin on shrunk pictures, such as 18x20,12x24, or none"
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
        training.add_argument(
            "--teacher",
            action="append",
            metavar="[MODEL=]FILE",
            help="learn from what this trained network says too; may be given several times",
        )
        narrow = parser.add_argument_group("learned bottlenecks")
        narrow.add_argument(
            "--bottleneck",
            action="append",
            metavar="[FROM>]CUT[:KIND[:CHANNELS[xSTRIDE]]]",
            help="train one around this cut; may be given several times. KIND: nested (default), attention, entropic. "
            "FROM: an earlier cut, from where on the device runs stages of the bottleneck's own, as in "
            "'layer1.0>layer2.0' (docs/bottlenecks.md)",
        )
        narrow.add_argument(
            "--bottleneck-together",
            type=float,
            metavar="SHARE",
            help="with --joint: it learns with the network first, which follows so much of its gradients, such as 0.05",
        )
        narrow.add_argument("--bottleneck-epochs", type=int, metavar="N", help=f"(default: {BOTTLENECK_EPOCHS})")
        narrow.add_argument(
            "--save-bottlenecks", type=Path, metavar="FILE", help="leave their weights there, for --bottleneck-weights"
        )
        narrow.add_argument(
            "--bottleneck-weights", type=Path, metavar="FILE", help="of bottlenecks trained before: none is trained"
        )
        parser.add_argument(
            "--int8",
            action="store_true",
            default=None,
            help="a head in int8 too, for plans with head=int8 (docs/int8.md)",
        )
        together = parser.add_argument_group("training network and branches together")
        together.add_argument(
            "--joint", metavar="LOSS", help=f"{', '.join(LOSSES)}: see docs/training.md; after --train, or from scratch"
        )
        together.add_argument("--joint-epochs", type=int, metavar="N", help=f"(default: {JOINT_EPOCHS})")
        together.add_argument(
            "--joint-rate",
            type=float,
            metavar="R",
            help="at its peak (default: the optimizer's own, a fifth of it after training or with --weights)",
        )

    def run(self, args: argparse.Namespace) -> int:
        recipe = recipe_from(args)
        for module, package in _PACKAGES.items():
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(package, "builder", "offramp build")
        from offramp_builder.building import build
        from offramp_builder.learning import checkpoints_of, interrupted_bottlenecks
        from offramp_builder.progress import Screen
        from offramp_builder.summary import as_json, print_summary

        try:
            with Screen(quiet=args.json) as screen:
                if recipe.untrained:
                    screen.warn("the network is untrained: the bundle measures speed, its answers mean nothing")
                built = build(recipe, args.out, screen)
        except KeyboardInterrupt:
            goes_on = any(checkpoint.is_file() for checkpoint in checkpoints_of(args.out)) or bool(
                interrupted_bottlenecks(args.out)
            )
            way_on = "; the same command goes on from the last whole epoch of training" if goes_on else ""
            print(f"offramp: stopped{way_on}", file=sys.stderr)
            return INTERRUPTED
        if args.json:
            print(json.dumps(as_json(built, args.out)))
        else:
            print_summary(built, args.out)
        return DONE


BUILD = BuildCommand()


def _told_recipes() -> str:
    return "\n".join(["recipes:", *(f"  {name}: {summary}" for name, summary in shipped_recipes().items())])


def _told_data() -> str:
    from offramp.data import LOADERS  # Pillow comes with it: not for `offramp --help`, which imports this module too

    kinds = [(f"{name}:PATH" if kind.needs_path else name, kind.summary) for name, kind in LOADERS.items()]
    return "\n".join(["data:", *(f"  {name}: {summary}" for name, summary in kinds)])
