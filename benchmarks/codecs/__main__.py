"""Every codec at every split, and what is said of it in docs/RESULTS.md.

python -m benchmarks.codecs                                                    the demo's data, built here: an hour
python -m benchmarks.codecs --task cifar10 --data cifar10:PATH --keep          builds a bundle, then all of it
python -m benchmarks.codecs --task cifar10 --data cifar10:PATH --bundle DIR    of a bundle with bottlenecks
    --alone --weights FILE --bottlenecks FILE                                  and against one for each rate: 15 minutes
python -m benchmarks.codecs --write                                            the chapter anew, from kept records
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chapters import RECORDS
from benchmarks.codecs import choosing
from benchmarks.codecs.chapter import JPEG, write_chapter
from benchmarks.codecs.claims import claims_of
from benchmarks.codecs.clock import clock
from benchmarks.codecs.live import perform, worth_performing
from benchmarks.codecs.sides import BOARDS, LINKS, RATE, Bench, contests, hosts_of
from benchmarks.codecs.singles import Order, rates_of, singles
from benchmarks.codecs.spots import Spot, front, spots_of
from benchmarks.codecs.tasks import INPUTS, PLAIN, TASKS, Task
from benchmarks.codecs.windows import windows
from benchmarks.codecs.within import within
from benchmarks.exits.subjects import run_offramp
from benchmarks.harness import a_parser, machine, report, say
from offramp import __version__
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, open_bundle
from offramp.codecs.usual import candidate_codecs
from offramp.data import Request, load, split
from offramp.errors import OfframpError, SettingsError
from offramp.tape.reader import Tape, open_tape

KEPT = Path(tempfile.gettempdir()) / f"offramp-benchmarks-{__version__}" / "codecs"
QUICK_SAMPLES = 500
CLOCKED = 300
PERFORMED = 240
"""Samples of a live run: half a minute."""
ALONE, ALONE_SIZE = 4, 20_000
"""Rates that get a bottleneck of their own, and samples that each learns on from: 15 minutes for a ResNet-20."""


def main() -> int:
    arguments = _parse()
    if arguments.write:
        return write_chapter()
    task = TASKS[arguments.task]
    data = arguments.data or task.data
    if task.name == "cifar10" and not arguments.data:
        raise SettingsError("--task cifar10 needs its data: --data cifar10:FOLDER")
    if arguments.alone and arguments.bundle and not (arguments.weights and arguments.bottlenecks):
        raise SettingsError(
            "--alone goes on from weights that a bundle does not hold: give --weights and --bottlenecks, as "
            "--save-weights and --save-bottlenecks of its build left them"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    record = study(task, data, arguments)
    place = RECORDS / f"codecs-{task.name}.json" if arguments.keep else arguments.out / f"{task.name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    say(f"the record is {place}")
    if arguments.keep:
        write_chapter()
    return report("codecs", claims_of(task, record), record, arguments)


def study(task: Task, data: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured of one task."""
    weights, narrow = arguments.out / f"{task.name}-trunk.pt", arguments.out / f"{task.name}-bottlenecks.pt"
    bundle = open_bundle(arguments.bundle or _built(task, data, arguments.out / task.name, weights, narrow))
    manifest = bundle.manifest
    limit = QUICK_SAMPLES if arguments.quick else arguments.limit
    tape = _tape(bundle.path, manifest, data, arguments.out, limit)
    spots = spots_of(tape, manifest)
    test = split(load(data, Request(limit=limit)), seed=int(manifest.provenance.get("seed", "0"))).test
    record: dict[str, Any] = {
        "task": task.name,
        "data": {
            "spec": data.partition(":")[0] + (":DIR" if ":" in data else ""),
            "test": int(tape.truth_N[tape.rows("test")].size),
        },
        "macs": manifest.macs_between(0, manifest.end),
        "whole": float((tape.final().label_N == tape.truth_N)[tape.rows("test")].mean()),
        "cuts": [cut.name for cut in manifest.cuts],
        "features": [cut.nbytes for cut in manifest.cuts],
        "jpeg": next(spot.payload for spot in spots if spot.codec == JPEG),
        "spots": [asdict(spot) for spot in spots],
        "times": [],
        "machine": machine(),
    }
    if arguments.clock:
        inside = [spot for spot in spots if spot.operations <= task.half]
        wanted = [(spot.split, spot.codec) for spot in front(one for one in inside if one.learned)]
        wanted += [(0, name) for name in ("jpeg:90", "webp:75", "png")]
        splits = sorted({spot.split for spot in inside if spot.learned})
        wanted += [(at, name) for at in splits for name in ("affine8+zstd", "affine4c+range")]
        rows = np.linspace(0, len(test) - 1, 20).astype(np.int64)
        record["times"] = clock(bundle, wanted, np.asarray(test.samples[rows]), arguments.clock)
    record |= _chosen(bundle, tape, spots, task, data, arguments)
    if arguments.alone:
        order = Order(
            manifest=manifest,
            data=data,
            weights=arguments.weights or weights,
            trained=arguments.bottlenecks or narrow,
            size=arguments.alone_size,
            limit=limit,
        )
        kept = arguments.out / f"{_stem(manifest, limit)}-singles.npz"
        asked = arguments.alone
        rates = asked if isinstance(asked, list) else rates_of(manifest, asked)
        record["singles"] = singles(order, rates, kept)
        record["singles_taught"] = f"at most {arguments.alone_size:,} samples"
    return record


def _chosen(
    bundle: Bundle, tape: Tape, spots: Sequence[Spot], task: Task, data: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """What the planner chooses over thin links, and what choosing the rate of each sample saves."""
    manifest = bundle.manifest
    hosts = hosts_of(bundle, tape, arguments.out / f"{manifest.name}-{manifest.model_digest[:12]}")
    bench = Bench(tape, manifest, hosts)
    say("choosing plans, and replaying them")
    found: dict[str, Any] = {
        "contests": contests(bench, arguments.boards),
        "windows": windows(bench, spots),
        "choices": choosing.study(bench),
        "within": within(bench, task.drop, half=task.half),
        "on_average": within(bench, task.drop, half=task.half, on_average=True),
        "rate": RATE,
        "hosts": {"whole": hosts.board.segment(0, manifest.end).expected},
    }
    if arguments.live:
        contest = worth_performing(found["contests"], LINKS[len(LINKS) // 2])
        try:
            found["live"] = perform(bench, bundle, data, contest, arguments.live)
        except OfframpError as error:  # a process fell silent on a busy machine: all the rest is still worth keeping
            say(f"no live run: {error}")
    return found


def _built(task: Task, data: str, place: Path, weights: Path, narrow: Path) -> Path:
    """A bundle with bottlenecks, built where it is not there yet."""
    if not (place / "manifest.json").is_file():
        trunk = ["--weights", weights] if weights.is_file() else ["--save-weights", weights]
        asked = [flag for one in task.bottlenecks for flag in ("--bottleneck", one)]
        some = ["--bottleneck-epochs", task.epochs, "--save-bottlenecks", narrow]
        run_offramp(["build", "--recipe", task.recipe, "--data", data, "--out", place, *trunk, *asked, *some])
    return place


def _tape(bundle: Path, manifest: Manifest, data: str, out: Path, limit: int | None) -> Tape:
    """What the bundle says with every codec, recorded where it is not yet."""
    tape = out / f"{_stem(manifest, limit)}.tape"
    if not tape.is_file():
        learned = [name for names in candidate_codecs(manifest).values() for name in names if "/" in name]
        codecs = ",".join(dict.fromkeys([*INPUTS, *PLAIN, *learned]))
        some = ["--limit", limit] if limit else []
        flags = ["--subset", "calibration,test", "--codecs", codecs, "--no-screen"]
        run_offramp(["evaluate", "record", "--bundle", bundle, "--data", data, "--out", tape, *flags, *some])
    return open_tape(tape)


def _stem(manifest: Manifest, limit: int | None) -> str:
    """Of the files that belong to this bundle, and to so many samples of each part."""
    return f"{manifest.name}-{manifest.model_digest[:12]}-{limit or 'all'}"


def _rates(text: str) -> int | list[tuple[int, int]]:
    """How many rates, or which: 8x2,16x2."""
    if text.isdigit():
        return int(text)
    found = [re.fullmatch(r"(\d+)x(\d)", one.strip()) for one in text.split(",")]
    if None in found:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rates and no list CHANNELSxBITS, such as 8x2,16x2")
    return [(int(one[1]), int(one[2])) for one in found if one]


def _parse(flags: Sequence[str] | None = None) -> argparse.Namespace:
    parser = a_parser((__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", choices=list(TASKS), default="camera-digits", help="default: camera-digits")
    parser.add_argument("--data", metavar="KIND:PATH", help="the task's, such as cifar10:FOLDER")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="with bottlenecks; built where none is given")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many samples of each part")
    parser.add_argument("--clock", type=int, default=CLOCKED, metavar="N", help=f"rounds timed (default: {CLOCKED})")
    parser.add_argument(
        "--boards",
        type=lambda text: tuple(map(float, text.split(","))),
        default=BOARDS,
        metavar="LIST",
        help=f"how many times slower than this machine (default: {','.join(f'{board:g}' for board in BOARDS)})",
    )
    parser.add_argument(
        "--live",
        type=int,
        default=PERFORMED,
        metavar="N",
        help=f"samples of a live run (default: {PERFORMED}; 0: none)",
    )
    parser.add_argument(
        "--alone",
        type=_rates,
        nargs="?",
        const=ALONE,
        metavar="N|LIST",
        help=f"train one for each of N ({ALONE}) rates alone, too, or of these: 8x2,16x2 (channels x bits)",
    )
    parser.add_argument(
        "--alone-size",
        type=int,
        default=ALONE_SIZE,
        metavar="N",
        help=f"samples that each of these learns on from, at most (default: {ALONE_SIZE:,})",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of the bundle's network, for --alone")
    parser.add_argument("--bottlenecks", type=Path, metavar="FILE", help="of its bottlenecks, for --alone")
    parser.add_argument("--out", type=Path, default=KEPT, metavar="DIR", help="bundles, tapes and the record")
    parser.add_argument("--keep", action="store_true", help="the record into docs/records, and the chapter anew")
    parser.add_argument("--write", action="store_true", help="only the chapter, from the records in docs/records")
    return parser.parse_args(flags)


if __name__ == "__main__":
    sys.exit(main())
