"""Every exit policy on equal terms, and what is said of it in docs/RESULTS.md.

python -m benchmarks.exits                                                       the shipped demo: a look, no download
python -m benchmarks.exits --task mitbih --data mitbih:PATH --keep               builds three bundles, then all of it
python -m benchmarks.exits --task cifar10 --data cifar10:PATH --bundles A B C    of bundles that are there already, of
                                                                                 one kind of branch or of several
python -m benchmarks.exits --write                                               the chapter anew, from kept records
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chapters import RECORDS
from benchmarks.exits.bitmap import masked_along_paths
from benchmarks.exits.chapter import write_chapter
from benchmarks.exits.contest import Score, Subject, compete, compete_in_time, instance_policies, without_order
from benchmarks.exits.curves import Spot, curves_of
from benchmarks.exits.kinds import asked_of, by_kind, named
from benchmarks.exits.references import references
from benchmarks.exits.rows import at_equal_loss, best_of, chosen_by_seed, rivals, rows_apart, rows_of, rows_of_kinds
from benchmarks.exits.subjects import bundles_of, subject_of
from benchmarks.exits.tasks import TASKS, Task
from benchmarks.exits.wall import wall_clock
from benchmarks.harness import Claim, a_parser, machine, report, say
from offramp import __version__
from offramp.data import Request, load, split
from offramp.errors import SettingsError
from offramp_evaluation.assets import DEMO_BUNDLE

KEPT = Path(tempfile.gettempdir()) / f"offramp-benchmarks-{__version__}" / "exits"
DEMO_SAMPLES, QUICK_SAMPLES = 4_000, 1_000
CLOCKED, CLOCKED_QUICKLY = 1_000, 100
CLAIMED = {"cifar10": 0.55, "mitbih": 0.20}
"""Of the operations, at most, by the best policy."""


def main() -> int:
    arguments = _parse()
    if arguments.write:
        return write_chapter()
    task = TASKS[arguments.task]
    if task.name != "demo" and not arguments.data:
        raise SettingsError(f"--task {task.name} needs its data: --data {task.name}:FOLDER")
    arguments.out.mkdir(parents=True, exist_ok=True)
    record = study(task, arguments)
    place = RECORDS / f"exits-{task.name}.json" if arguments.keep else arguments.out / f"{task.name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    say(f"the record is {place}")
    if arguments.keep:
        write_chapter()
    return report("exits", claims_of(task, record), record, arguments)


def study(task: Task, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured of one task."""
    data = arguments.data or "camera-digits"
    limit = (QUICK_SAMPLES if arguments.quick else DEMO_SAMPLES) if task.name == "demo" else None
    bundles = [DEMO_BUNDLE] if task.name == "demo" else arguments.bundles
    if not bundles:
        bundles = bundles_of(task, data, arguments.seeds, arguments.out)
    subjects = [subject_of(Path(bundle), data, arguments.out, limit=limit) for bundle in bundles]
    apart = {name: subject_of(bundle, data, arguments.out) for name, bundle in arguments.apart}
    kinds = by_kind(subjects)
    contests = {kind: [_contest(subject, task, list(kinds)) for subject in some] for kind, some in kinds.items()}
    first, *others = kinds
    record: dict[str, Any] = {
        "task": task.name,
        "data": {"name": subjects[0].test.origin.data, "test": len(subjects[0].test)},
        "macs": subjects[0].charge.whole,
        "first_exit": min(subjects[0].charge.before[cut] for cut in subjects[0].cuts) / subjects[0].charge.whole,
        "drop": task.drop,
        "kind": first,
        "seeds": contests[first],
        "kinds": {kind: contests[kind] for kind in others},
        "curves": {name: [asdict(spot) for spot in spots] for name, spots in _curves(kinds, task)},
        "apart": {name: _contest(subject, task, [subject.kind]) for name, subject in apart.items()},
        "bitmap": {
            name: [asdict(one) for one in masked_along_paths(subject, task)]
            for name, subject in [*((f"seed {one.seed}", one) for one in subjects), *apart.items()]
            if subject.kind == "exclusion"
        },
        "machine": machine(),
        "remark": arguments.remark,
    }
    if task.streams:
        record["shuffled"] = [_shuffled(subject, task, list(kinds)) for subject in kinds[first]]
    if arguments.references:
        kept = arguments.out / f"{task.name}-references.json"
        record["references"] = [asdict(one) for one in references(task, data, subjects[0].charge.whole, kept)]
    clocked = CLOCKED_QUICKLY if arguments.quick else arguments.clock
    if clocked:
        rules = _rules(kinds, contests)
        say(f"{task.name}: wall clock of {len(rules)} rules")
        part = split(load(data, Request(limit=limit)), seed=subjects[0].test.origin.seed).test
        record["wall"] = wall_clock(rules, part, clocked)
    return record


def claims_of(task: Task, record: dict[str, Any]) -> list[Claim]:
    """What issue and README promise, as found in the record."""
    rows = rows_of([seed["scores"] for seed in record["seeds"]], task.drop)
    instance, temporal = (rivals(rows, temporal=which) for which in (False, True))
    together = [row for rows in rows_apart(record).values() for row in rows]
    everything = [*instance, *temporal, *rows_of_kinds(record), *together]
    best, limit = best_of(everything), CLAIMED.get(task.name, 1.0)
    claims = [
        Claim(name=f"{task.name}: operations", found=best.operations.mean, limit=limit, detail=best.title),
        Claim(name=f"{task.name}: lost with these", found=100 * best.lost, limit=100 * task.drop, unit="pt"),
    ]
    if level := at_equal_loss(everything):
        row, operations = level
        name = f"{task.name}: operations where {100 * task.drop:g} points are lost"
        claims.append(Claim(name=name, found=operations.mean, limit=limit, detail=row.title))
    if temporal:
        behind, ahead, mixed = chosen_by_seed(record)
        taken = [sum(score["operations"] for score in some) for some in (behind, ahead, mixed)]
        name = f"{task.name}: temporal over instance"
        claims.append(Claim(name=name, found=taken[1] / taken[0], limit=1.0, detail="as calibration samples choose"))
        name = f"{task.name}: the same on shuffled streams"
        claims.append(Claim(name=name, found=taken[2] / taken[0], limit=0.95, at_most=False))
    return claims


def _contest(subject: Subject, task: Task, kinds: Sequence[str]) -> dict[str, Any]:
    """Of one bundle, where branches of these kinds compete."""
    scores: list[Score] = []
    for score in compete(subject, task, asked_of(subject.kind, kinds, instance_policies(subject))):
        say(f"{subject.kind}, seed {subject.seed}: {score.policy} {100 * score.operations:.1f} %, {score.rule}")
        scores.append(score)
    return {
        "bundle": subject.name,
        "kind": subject.kind,
        "seed": subject.seed,
        "trained": subject.trained,
        "scores": [asdict(score) for score in scores],
    }


def _curves(kinds: Mapping[str, Sequence[Subject]], task: Task) -> Iterator[tuple[str, list[Spot]]]:
    """Of one seed of each kind."""
    for kind, subjects in kinds.items():
        policies = asked_of(kind, list(kinds), instance_policies(subjects[0]))
        for name, spots in curves_of(subjects[0], task, policies).items():
            yield named(name, kind, list(kinds)), spots


def _rules(
    kinds: Mapping[str, Sequence[Subject]], contests: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, tuple[Path, str]]:
    """What is timed: the rules of one seed of each kind; the network without exits once."""
    found: dict[str, tuple[Path, str]] = {}
    for kind, subjects in kinds.items():
        for score in contests[kind][0]["scores"]:
            if score["policy"] != "none" or not found:
                found[named(score["policy"], kind, list(kinds))] = Path(subjects[0].place), score["rule"]
    return found


def _shuffled(subject: Subject, task: Task, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Temporal policies where neighbours have nothing to do with each other, tuned anew."""
    say(f"{subject.name}, seed {subject.seed}: shuffled")
    asked = asked_of(subject.kind, kinds, instance_policies(subject))
    return [asdict(score) for score in compete_in_time(without_order(subject, seed=subject.seed), task, asked)]


def _bundle_apart(text: str) -> tuple[str, Path]:
    name, _, place = text.partition("=")
    if not (name and place):
        raise argparse.ArgumentTypeError(f"{text!r} names no bundle; write NAME=DIR")
    return name, Path(place)


def _parse(flags: Sequence[str] | None = None) -> argparse.Namespace:
    parser = a_parser((__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", choices=list(TASKS), default="demo", help="default: demo")
    parser.add_argument("--data", metavar="KIND:PATH", help="the task's, such as cifar10:FOLDER")
    parser.add_argument(
        "--bundles",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="one trunk, other branches each; of a kind, other seeds",
    )
    parser.add_argument("--seeds", type=int, default=3, help="bundles to build where none is given (default: 3)")
    parser.add_argument(
        "--apart", action="append", type=_bundle_apart, default=[], metavar="NAME=DIR", help="trained jointly, say"
    )
    parser.add_argument("--references", action="store_true", help="train small networks beside (mitbih)")
    parser.add_argument("--clock", type=int, default=CLOCKED, metavar="N", help=f"samples timed (default: {CLOCKED})")
    parser.add_argument("--remark", default="", metavar="TEXT", help="said below the table: a busy machine, say")
    parser.add_argument("--out", type=Path, default=KEPT, metavar="DIR", help="bundles, tapes and the record")
    parser.add_argument("--keep", action="store_true", help="the record into docs/records, and the chapter anew")
    parser.add_argument("--write", action="store_true", help="only the chapter, from the records in docs/records")
    return parser.parse_args(flags)


if __name__ == "__main__":
    sys.exit(main())
