"""What the scenarios of the gallery say of strategies: a table of each, for docs/RESULTS.md.

python -m benchmarks.gallery            sweeps all of evaluation/scenarios and prints the tables
python -m benchmarks.gallery --keep     … and keeps records and chapter under docs/

All of it is replayed over the shipped demo, from the profiles that ship with it: simulated, and the same anywhere.
"""

import json
import math
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chapters import RECORDS, Shelf, write_between
from benchmarks.harness import ROOT, a_parser, say
from benchmarks.processes import environment
from offramp_evaluation.sweep.rows import AXES, lines

SCENARIOS = ROOT / "evaluation" / "scenarios"
BEGIN = "<!-- gallery: written by python -m benchmarks.gallery --keep -->"
END = "<!-- gallery end -->"
AVERAGED = ("link.trace", "seed")
"""Axes over which a line of a table is a mean; the others have a line for each value."""
AT_THE_EDGE = "all at the edge: "
KEPT = ("all on the device", "best static plan", "oracle")
"""Baselines that have a column of their own, beside the best picture format and the strategies."""
TOLD = ("latency_mean", "accuracy", "joules")


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="write docs/records and the chapter in docs/RESULTS.md")
    arguments = parser.parse_args()
    changes = ["load.samples=60"] if arguments.quick else []
    records = {path.stem: record_of(path, changes) for path in sorted(SCENARIOS.glob("*.toml"))}
    if arguments.keep:
        RECORDS.mkdir(parents=True, exist_ok=True)
        for name, record in records.items():
            text = json.dumps(record, indent=1, sort_keys=True) + "\n"
            (RECORDS / f"gallery-{name}.json").write_text(text, encoding="utf-8")
        write_between(BEGIN, END, "gallery-*.json", Shelf(), chapter, lambda _record: {})
    print(json.dumps(records) if arguments.json else chapter(list(records.values())))
    return 0


def record_of(scenario: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Sweep a scenario, and keep what its tables show."""
    say(f"sweeping {scenario.stem}")
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "offramp.cli", "evaluate", "sweep", str(scenario), "--out", out, "--json"]
        command += [part for change in changes for part in ("--set", change)]
        subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
        paths = sorted(Path(out).glob("runs/*/record.json"))
        found = list(lines((path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in paths))
    about = tomllib.loads(scenario.read_text(encoding="utf-8"))
    return {"file": scenario.name, "name": about["name"], "runs": len(paths), "settings": list(settings_of(found))}


def settings_of(found: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What each row came to in each setting, as a mean over its runs."""
    differing = [axis for axis in AXES if axis not in AVERAGED and len({line[axis] for line in found}) > 1]
    for values in sorted({tuple(line[axis] for axis in differing) for line in found}, key=_order):
        here = [line for line in found if tuple(line[axis] for axis in differing) == values]
        names = dict.fromkeys(line["row"] for line in here)
        rows = {name: _mean([line for line in here if line["row"] == name]) for name in names}
        pictures = {name: row for name, row in rows.items() if name.startswith(AT_THE_EDGE)}
        strategies = {line["row"] for line in here if line["strategy"]} - set(KEPT)
        best = min(pictures, key=lambda name: pictures[name]["latency_mean"], default=None)
        kept = {name: row for name, row in rows.items() if name in KEPT or name in strategies}
        if best is not None:
            kept["best picture format"] = pictures[best] | {"is": best.removeprefix(AT_THE_EDGE)}
        yield {"axes": dict(zip(differing, values, strict=True)), "rows": kept}


def _order(values: Sequence[str]) -> list[tuple[float, str]]:
    """Numbers by size, all else by name."""
    return [(float(value), "") if value.replace(".", "", 1).isdigit() else (math.inf, value) for value in values]


def _mean(some: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {key: float(np.mean([line[key] for line in some])) for key in TOLD if some[0][key] is not None}


def chapter(records: Sequence[Mapping[str, Any]]) -> str:
    """A table of each scenario: a line of each setting, a column of each row."""
    return "\n".join(_table(record) for record in sorted(records, key=lambda record: str(record["file"])))


def _table(record: Mapping[str, Any]) -> str:
    settings = record["settings"]
    names = ["all on the device", "best picture format", "best static plan"]
    names += [*sorted({name for one in settings for name in one["rows"]} - {*names, "oracle"}), "oracle"]
    axes = list(settings[0]["axes"])
    joules = any("joules" in row for one in settings for row in one["rows"].values())
    said = [
        f"### {record['name']}",
        "",
        f"`evaluation/scenarios/{record['file']}`, {record['runs']} run(s). Mean latency in ms · accuracy in %"
        f"{' · modelled energy of a sample' if joules else ''}.",
        "",
        "| " + " | ".join([*axes, *names]) + " |",
        "|" + " --- |" * (len(axes) + len(names)),
    ]
    for one in settings:
        cells = [str(value) for value in one["axes"].values()]
        cells += [_cell(one["rows"][name]) if name in one["rows"] else "" for name in names]
        said.append("| " + " | ".join(cells) + " |")
    return "\n".join([*said, ""])


def _cell(row: Mapping[str, Any]) -> str:
    told = f"{1e3 * row['latency_mean']:.1f} · {100 * row['accuracy']:.1f}"
    if "joules" in row:
        told += f" · {row['joules']:.3f} J"
    return f"{told} ({row['is']})" if "is" in row else told


if __name__ == "__main__":
    sys.exit(main())
