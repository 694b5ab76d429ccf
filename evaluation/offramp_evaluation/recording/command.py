"""`offramp evaluate record`: run a bundle once over a data set and write what everybody said into a tape."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offramp.cli import DONE, INTERRUPTED
from offramp.clock import SystemClock
from offramp.errors import SettingsError, UnknownNameError
from offramp.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from offramp.bundle.store import Bundle
    from offramp.tape.header import TapeHeader
    from offramp_evaluation.recording.progress import ProgressScreen
    from offramp_evaluation.recording.record import Order
    from offramp_evaluation.recording.workers import Workers

DEMO, DEMO_DATA = "demo", "camera-digits"
SCREEN = 500
"""Calibration samples that tell which tails are worth running over everything."""

EPILOG = """\
examples:
  offramp evaluate record --out demo.tape                         the shipped demo on camera-digits
  offramp evaluate record --bundle my-model --data cifar10:PATH --out my.tape
  offramp evaluate record --bundle my-model --data npz:my.npz --subset calibration,test --codecs affine8+zstd,jpeg:90 \\
      --out my.tape

Stopped or killed, the same command goes on where it was, and gives the same tape."""


class RecordCommand:
    summary = "run a bundle once over a data set, and keep what every branch, codec and tail said"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument(
            "--out", type=Path, required=True, metavar="TAPE", help="the tape to write, or to go on with"
        )
        parser.add_argument("--bundle", default=DEMO, metavar="DIR", help="a bundle, or `demo` (default)")
        parser.add_argument("--data", metavar="KIND:PATH", help=f"the data set (default for demo: {DEMO_DATA})")
        parser.add_argument(
            "--subset",
            default="test",
            metavar="NAMES",
            help="train, calibration, test, several, or all (default: test)",
        )
        parser.add_argument(
            "--head", default="", metavar="NAME", help="with another head than the bundle's own, such as int8"
        )
        parser.add_argument("--limit", type=int, metavar="N", help="at most so many samples of each subset")
        parser.add_argument(
            "--seed", type=int, help="of the split into subsets (default: that with which the bundle was built)"
        )
        parser.add_argument(
            "--codecs", metavar="NAMES", help="between commas, each at every split where it can be (default: all known)"
        )
        screening = parser.add_mutually_exclusive_group()
        screening.add_argument(
            "--screen", type=int, default=SCREEN, metavar="N", help=f"samples that tell who can win (default: {SCREEN})"
        )
        screening.add_argument(
            "--no-screen", dest="screen", action="store_const", const=0, help="record every codec at every split"
        )
        parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one per core)")
        parser.add_argument("--ray", action="store_true", help="on Ray instead: a cluster of this machine alone")
        parser.add_argument("--ray-address", metavar="ADDRESS", help="on the Ray cluster at this address")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON, and no progress")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.recording.progress import ProgressScreen
        from offramp_evaluation.recording.record import parts_on_disk, record

        clock = SystemClock()
        begun = clock.now()
        with ProgressScreen(quiet=args.json) as screen:
            order = _order(args, screen)
            with _workers(args, order.bundle) as workers:
                try:
                    header = record(order, workers, screen)
                except KeyboardInterrupt:
                    done = parts_on_disk(args.out)
                    print(
                        f"offramp: stopped with {done} part(s) of {args.out} recorded; the same command goes on there",
                        file=sys.stderr,
                    )
                    return INTERRUPTED
        summary = _summary(args.out, header, clock.now() - begun)
        print(json.dumps(summary, ensure_ascii=False) if args.json else _describe(summary))
        return DONE


RECORD = RecordCommand()


def _order(args: argparse.Namespace, screen: "ProgressScreen") -> "Order":
    from offramp.bundle.store import open_bundle
    from offramp.data import Request, load
    from offramp.measure.listen import codecs_of_head
    from offramp_evaluation.assets import DEMO_BUNDLE
    from offramp_evaluation.recording.origin import code_version, surroundings
    from offramp_evaluation.recording.record import Order
    from offramp_evaluation.recording.selection import select

    for name, least in (("limit", 1), ("jobs", 1), ("screen", 0)):
        if (value := getattr(args, name)) is not None and value < least:
            raise SettingsError(f"--{name} {value} records nothing; give at least {least}")
    spec = args.data or (DEMO_DATA if args.bundle == DEMO else None)
    if spec is None:
        raise SettingsError(f"--bundle {args.bundle} needs its --data, such as cifar10:PATH or npz:FILE")
    bundle = open_bundle(DEMO_BUNDLE if args.bundle == DEMO else args.bundle)
    manifest = bundle.manifest
    seed = args.seed if args.seed is not None else int(manifest.provenance.get("seed", "0"))
    subsets = _subsets(args.subset)
    codecs = _codecs(args.codecs, bundle)
    if args.head:
        manifest.head(args.head)
        codecs = codecs_of_head(codecs)
    screen.say(f"reading {spec}")
    data = load(spec, Request(shape=manifest.sample.shape, seed=seed))
    selection = select(data, manifest, subsets, limit=args.limit, seed=seed)
    # The test split only reports: what is recorded is decided on the calibration split.
    screening = select(data, manifest, ("calibration",), limit=args.screen, seed=seed) if args.screen else None
    trained_on = manifest.provenance.get("data_sha256")
    if trained_on is not None and trained_on != data.digest:
        screen.say(f"{data.name} is not the data that {manifest.name!r} was built from; its subsets may not be either")
    return Order(
        bundle=bundle,
        selection=selection,
        codecs=codecs,
        out=args.out,
        code=code_version(),
        provenance=surroundings() | {"seed": str(seed), "subset": ",".join(subsets)},
        screening=screening,
        protected=_candidate_codecs(bundle, args.head),
        head=args.head,
    )


def _subsets(text: str) -> tuple[str, ...]:
    from offramp.registry import unknown
    from offramp_evaluation.recording.selection import SUBSETS

    names = SUBSETS if text == "all" else tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in SUBSETS:
            raise SettingsError(unknown("subset", name, [*SUBSETS, "all"]))
    return tuple(names)


def _codecs(text: str | None, bundle: "Bundle") -> dict[int, list[str]]:
    from offramp.codecs.usual import known_codecs, opens

    manifest = bundle.manifest
    known = known_codecs(manifest)
    if text is None:
        return known
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    chosen = {split: [name for name in names if opens(name, manifest, split)] for split in known}
    for name in names:
        if not any(name in there for there in chosen.values()):
            from offramp.registry import unknown

            raise UnknownNameError(unknown("codec", name, sorted({one for there in known.values() for one in there})))
    return {split: there for split, there in chosen.items() if there}


def _candidate_codecs(bundle: "Bundle", head: str) -> set[tuple[int, str]]:
    """What the bundle's candidates send: a tape without it could not replay them."""
    from offramp.planning.candidates import FILE, read_candidates

    if not bundle.file(FILE).is_file():
        return set()
    return {(one.split, codec) for one in read_candidates(bundle).of_head(head).candidates for codec in one.codecs}


def _workers(args: argparse.Namespace, bundle: "Bundle") -> "Workers":
    if args.ray or args.ray_address is not None:
        from offramp_evaluation.actors import RayTasks

        return RayTasks(bundle, address=args.ray_address)
    jobs = args.jobs or os.cpu_count() or 1
    if jobs > 1:
        from offramp_evaluation.recording.processes import Processes

        return Processes(bundle, jobs)
    from offramp.runtime.threads import configure_threads
    from offramp_evaluation.recording.workers import Here

    configure_threads(1)
    return Here(bundle)


def _summary(out: Path, header: "TapeHeader", seconds: float) -> dict[str, Any]:
    return {
        "tape": str(out),
        "bytes": out.stat().st_size,
        "seconds": round(seconds, 3),
        "samples": header.samples,
        "data": header.data,
        "bundle": header.bundle,
        "head": header.head,
        "model_digest": header.model_digest,
        "data_digest": header.data_digest,
        "branches": list(header.branches),
        "tails": [f"{split}:{quantiser}" for split, quantiser in header.tails],
        "codecs": [f"{entry.split}:{entry.codec}" for entry in header.codecs],
        "dropped": header.provenance.get("dropped", "nothing"),
    }


def _describe(summary: dict[str, Any]) -> str:
    return (
        f"{summary['tape']}: {summary['samples']:,} samples of {summary['data']} by {summary['bundle']!r}"
        f"{' with its head ' * bool(summary['head'])}{summary['head']}, "
        f"{format_bytes(summary['bytes'])} in {format_seconds(summary['seconds'])}\n"
        f"  {len(summary['branches'])} branches, {len(summary['tails'])} tails, {len(summary['codecs'])} codecs; "
        f"dropped: {summary['dropped']}"
    )
