"""What not knowing the future costs: every strategy over recorded traces, against an oracle and the best static plan.

    trace × bundle × slowdown × seed ─► one cell: every strategy, the oracle, the best static plan ─► a small JSON file
                                                                              all cells ─► claims and a table

Deployed code on the replay clock: SIMULATED. Cells are computed on all cores and kept in --out, by a digest of code,
bundle, tape and settings, so that a study that was stopped goes on. A row counts what was rejected at the deadline.

The oracle knows the trace, not what will be seen. It is the fastest of: `search` told what the link will carry until
the next choice; the best static plan; every strategy. Each of them is a real run, so whoever knows the future could
have had it; only runs whose accuracy is within twice the acceptable drop of the whole network's are taken.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import regret_cells
from benchmarks.harness import CORES, ROOT, Claim, a_parser, report
from benchmarks.regret_cells import DELAY, Cell, Setting, Subject, compute, open_tape_once
from offramp import __version__
from offramp.bundle.store import open_bundle
from offramp.errors import DataError, InputError
from offramp.measure.here import profile_here
from offramp.measure.profile import write_profile
from offramp.planning.strategies.catalog import DEFAULT
from offramp.units import BitsPerSecond, Seconds, format_seconds
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
from offramp_evaluation.metrics.intervals import bootstrap
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.csvfile import write_csv

STRATEGIES = (
    "search",
    DEFAULT,
    "residual",
    "neurosurgeon",
    "edgent",
    "dads",
    "splitee",
    "splitee-s",
    "all-edge:jpeg",
    "all-device",
)
CLAIMED = "search"
ORACLE_LIMIT, STATIC_LIMIT = 1.10, 0.75
"""What `search` is held to: of the oracle's mean latency everywhere, of the best static plan's where that is bad."""
BAD = 1.3
"""Times the oracle's: beyond this, no static plan suits a trace."""
GENERATED = 10
KEPT = Path(tempfile.gettempdir()) / f"offramp-benchmarks-{__version__}" / "regret"
CODE = ("core/offramp", "device/offramp_device", "edge_server/offramp_edge_server", "evaluation/offramp_evaluation")


def main() -> int:
    arguments = _parse()
    setting = Setting(
        strategies=tuple(name.strip() for name in arguments.strategies.split(";")),
        seconds=arguments.seconds,
        rate=arguments.rate,
        period=arguments.period,
        drop=arguments.drop,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    subjects = [_subject(text, arguments.out) for text in arguments.bundle or [f"{DEMO_BUNDLE}={DEMO_TAPE}"]]
    folder = arguments.traces or generated(arguments.out / "generated", arguments.seconds)
    traces = sorted(path for path in folder.rglob("*") if path.is_file())
    if not traces:
        raise InputError(f"--traces {folder} holds no file; give a folder of traces")
    cells = [
        Cell(subject=subject, slowdown=slowdown, trace=path, name=str(path.relative_to(folder)), seed=seed)
        for subject in subjects
        for slowdown in arguments.slowdowns
        for seed in range(arguments.seeds)
        for path in traces[:: 20 if arguments.quick else 1]
    ]
    found = _study(cells, setting, arguments.out)
    claims, tables = [], {}
    for subject in subjects:
        name = open_bundle(subject.bundle).manifest.name
        for slowdown in arguments.slowdowns:
            here = [item for item in found if item["bundle"] == str(subject.bundle) and item["slowdown"] == slowdown]
            claims += _claims(f"{name}, slowdown {slowdown:g}", here)
            tables[f"{name}, slowdown {slowdown:g}"] = _rows(here)
    if not arguments.json:
        for title, rows in tables.items():
            print(f"{title}: SIMULATED, {len(found) // len(tables)} runs of each\n\n{_table(rows)}\n")
    return report("regret", claims, {"setting": asdict(setting), "tables": tables, "cells": len(found)}, arguments)


def _parse() -> argparse.Namespace:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument(
        "--traces",
        type=Path,
        metavar="DIR",
        help=f"searched for traces, recursively (default: {GENERATED} generated ones)",
    )
    parser.add_argument(
        "--bundle",
        action="append",
        metavar="DIR=TAPE[=PROFILE]",
        help="may be repeated (default: the shipped demo); without a profile, one is measured here and kept in --out",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=KEPT,
        metavar="DIR",
        help="finished cells are kept here (default: a temporary folder)",
    )
    parser.add_argument("--slowdowns", type=_numbers, default=(1.0, 5.0, 20.0), help="of the boards (default: 1,5,20)")
    parser.add_argument("--seeds", type=int, default=1, help="other samples for each (default: 1)")
    parser.add_argument("--strategies", default=";".join(STRATEGIES), help=f"apart by ; (default: {STRATEGIES})")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each trace (default: 120)")
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second (default: 10)")
    parser.add_argument("--period", type=float, default=1.0, help="seconds between two choices (default: 1)")
    parser.add_argument("--drop", type=float, default=0.01, help="accuracy that may be lost (default: 0.01)")
    return parser.parse_args()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _subject(text: str, out: Path) -> Subject:
    bundle, _, rest = text.partition("=")
    tape, _, profile = rest.partition("=")
    if not tape:
        raise InputError(f"--bundle {text} names no tape; write DIR=TAPE, or DIR=TAPE=PROFILE")
    if not profile:
        opened = open_bundle(Path(bundle))
        shipped = Path(bundle) == DEMO_BUNDLE
        profile = str(DEMO_PROFILE if shipped else out / f"profile-{opened.manifest.model_digest[:12]}.json")
        if not Path(profile).is_file():
            print(f"timing {opened.manifest.name} on this machine", file=sys.stderr)
            write_profile(profile_here(opened), Path(profile))
    return Subject(bundle=Path(bundle), tape=Path(tape), profile=Path(profile))


def generated(folder: Path, seconds: float) -> Path:
    """Links that jump between four rates, for whoever has no recorded traces."""
    folder.mkdir(parents=True, exist_ok=True)
    rates = [BitsPerSecond(1e6 * mbit) for mbit in (0.3, 1.0, 5.0, 20.0)]
    for seed in range(GENERATED):
        trace = generate.markov(rates, dwell=Seconds(5.0), duration=Seconds(seconds), seed=seed, delay=DELAY)
        write_csv(trace, folder / f"markov-{seed:02}.csv")
    return folder


# Cells.


def _study(cells: Sequence[Cell], setting: Setting, out: Path) -> list[dict[str, Any]]:
    """Those that are not there yet are computed; progress on standard error."""
    places = {cell: out / f"{_digest(cell, setting)}.json" for cell in cells}
    missing = [cell for cell, place in places.items() if not place.is_file()]
    print(f"{len(cells):,} cells, {len(cells) - len(missing):,} of them before", file=sys.stderr)
    before = told = time.monotonic()
    with ProcessPoolExecutor(len(CORES)) as pool:
        waiting = {pool.submit(compute, cell, setting): cell for cell in missing}
        for done, future in enumerate(as_completed(waiting), start=1):
            place = places[waiting[future]]
            partial = place.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(future.result()), encoding="utf-8")
            partial.replace(place)
            if (now := time.monotonic()) - told > 10:
                told, left = now, (now - before) / done * (len(missing) - done)
                print(f"{done:,} of {len(missing):,} cells, about {format_seconds(left)} left", file=sys.stderr)
    return [json.loads(places[cell].read_text(encoding="utf-8")) for cell in cells]


def _digest(cell: Cell, setting: Setting) -> str:
    subject = cell.subject
    words = [_code(), repr(setting), _content(subject.bundle / "manifest.json"), _content(subject.profile)]
    words += [_content(subject.bundle / "candidates.json"), open_tape_once(subject.tape).digest()]
    words += [str(cell.slowdown), cell.name, _content(cell.trace), str(cell.seed)]
    return sha256("\n".join(words).encode()).hexdigest()[:24]


@cache
def _content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@cache
def _code() -> str:
    """Whatever could change a number."""
    files = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]
    return sha256("".join(_content(path) for path in [*files, Path(regret_cells.__file__)]).encode()).hexdigest()


# What the cells say.


def _claims(title: str, cells: Sequence[Mapping[str, Any]]) -> list[Claim]:
    if not cells:
        raise DataError(f"{title}: no cell was computed")

    def means(name: str) -> Any:
        return np.array([cell["runs"][name]["mean"] for cell in cells])

    above = means(CLAIMED) / means("oracle")
    bad = means("best static plan") > BAD * means("oracle")
    worst = cells[int(above.argmax())]["trace"]
    detail = f"median {np.median(above):.3f}, {np.mean(above > ORACLE_LIMIT):.1%} above; worst on {worst}"
    claims = [
        Claim(name=f"{title}: {CLAIMED} / oracle, worst", found=float(above.max()), limit=ORACLE_LIMIT, detail=detail)
    ]
    against = (means(CLAIMED) / means("best static plan"))[bad]
    found = float(against.max()) if bad.any() else 0.0
    detail = f"{bad.sum()} of {len(bad)} runs have no static plan within {BAD:g} x"
    claims.append(Claim(name=f"{title}: {CLAIMED} / best static there", found=found, limit=STATIC_LIMIT, detail=detail))
    return claims


def _rows(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over cells; regret with its interval over traces, which are the independent units."""
    traces = [cell["trace"] for cell in cells]
    oracle = np.array([cell["runs"]["oracle"]["mean"] for cell in cells])
    rows = {}
    for name in cells[0]["runs"]:
        runs = [cell["runs"][name] for cell in cells]
        mean = np.array([run["mean"] for run in runs])
        interval = bootstrap(mean - oracle, traces)
        rows[name] = {
            "mean_s": float(mean.mean()),
            "accuracy": float(np.mean([run["accuracy"] for run in runs])),
            "regret_s": float((mean - oracle).mean()),
            "regret_low_s": interval.low,
            "regret_high_s": interval.high,
            "over_oracle_median": float(np.median(mean / oracle)),
            "over_oracle_worst": float(np.max(mean / oracle)),
            "changes": float(np.mean([run["changes"] for run in runs])),
        }
    return rows


def _table(rows: Mapping[str, Mapping[str, float]]) -> str:
    from offramp.inspect.table import format_table

    headers = ("row", "accuracy", "mean", "regret", "95 % interval", "/ oracle", "worst", "plan changes")
    lines = [
        (
            name,
            f"{100 * row['accuracy']:.1f} %",
            f"{1e3 * row['mean_s']:.2f} ms",
            f"{1e3 * row['regret_s']:.2f} ms",
            f"{1e3 * row['regret_low_s']:.2f} to {1e3 * row['regret_high_s']:.2f}",
            f"{row['over_oracle_median']:.3f}",
            f"{row['over_oracle_worst']:.3f}",
            f"{row['changes']:.1f}",
        )
        for name, row in sorted(rows.items(), key=lambda item: item[1]["mean_s"])
    ]
    return format_table(headers, lines, right=range(1, len(headers)))


if __name__ == "__main__":
    sys.exit(main())
