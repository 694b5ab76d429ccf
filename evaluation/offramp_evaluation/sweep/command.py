"""`offramp evaluate sweep`: every run of a scenario file, on all cores or a Ray cluster."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offramp.cli import DONE, FAILED, INTERRUPTED
from offramp.clock import SystemClock
from offramp.errors import SettingsError
from offramp.units import format_seconds
from offramp_evaluation.sweep.flags import add_changes_flag

if TYPE_CHECKING:
    from offramp_evaluation.sweep.folder import SweepFolder
    from offramp_evaluation.sweep.scenario import Scenario
    from offramp_evaluation.sweep.sweep import Swept
    from offramp_evaluation.sweep.workers import Workers

EPILOG = """\
examples:
  offramp evaluate sweep evaluation/scenarios/lte-commute.toml --out runs/lte
  offramp evaluate sweep mine.toml --out runs/mine --set load.samples=50 --set "seed=[0, 1, 2]"
  offramp evaluate sweep mine.toml --out runs/mine --list
  offramp evaluate sweep mine.toml --out runs/mine --ray 192.0.2.6:6379

Stopped or killed, the same command goes on where it was, and ends with the same records. A run that fails is told, and
does not end the sweep; the exit code is 1 then. `offramp evaluate report` draws what comes out."""


class SweepCommand:
    summary = "replay every combination of a scenario file's lists"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("scenario", type=Path, metavar="FILE.toml", help="see docs/evaluate.md for its keys")
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where records go, or go on")
        add_changes_flag(parser)
        parser.add_argument("--list", action="store_true", help="print the runs, and perform none")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--jobs", type=int, metavar="N", help="processes (default: one per core)")
        where.add_argument("--ray", metavar="ADDRESS", help="on the Ray cluster there; `local`: of this machine alone")
        parser.add_argument("--json", action="store_true", help="print a summary as JSON, and no progress")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.recording.progress import ProgressScreen
        from offramp_evaluation.sweep.folder import SweepFolder
        from offramp_evaluation.sweep.scenario import read_scenario
        from offramp_evaluation.sweep.sweep import sweep

        if args.jobs is not None and args.jobs < 1:
            raise SettingsError(f"--jobs {args.jobs} performs nothing; give at least 1")
        clock = SystemClock()
        begun, folder = clock.now(), SweepFolder(args.out)
        scenario = read_scenario(args.scenario, args.changes, folder)
        if args.list:
            print(listed(scenario, as_json=args.json))
            return DONE
        with ProgressScreen(quiet=args.json, unit="runs") as screen, _workers(args, scenario) as workers:
            try:
                swept = sweep(scenario, folder, workers, screen)
            except KeyboardInterrupt:
                done = folder.count()
                print(
                    f"offramp: stopped with {done} of {len(scenario.cells)} runs done; the same command goes on there",
                    file=sys.stderr,
                )
                return INTERRUPTED
        summary = summary_of(scenario, folder, swept, clock.now() - begun)
        print(json.dumps(summary, ensure_ascii=False) if args.json else told(summary))
        return FAILED if swept.failed else DONE


def _workers(args: argparse.Namespace, scenario: "Scenario") -> "Workers":
    if args.ray is not None:
        from offramp_evaluation.actors import RayRuns

        networks = {cell.network.key: cell.network for cell in scenario.cells}
        return RayRuns(list(networks.values()), address=None if args.ray == "local" else args.ray)
    from offramp_evaluation.sweep.workers import Here, Processes

    jobs = args.jobs or os.cpu_count() or 1
    return Here() if jobs == 1 else Processes(jobs)


def listed(scenario: "Scenario", *, as_json: bool) -> str:
    """Its runs, for people or as JSON."""
    from offramp.inspect.table import format_table

    cells, keys = scenario.cells, scenario.varied
    if as_json:
        return json.dumps([{"run": cell.name, "axes": dict(cell.axes)} for cell in cells], ensure_ascii=False)
    table = format_table(["run", *keys], [[cell.name, *(cell.axes[key] for key in keys)] for cell in cells])
    rows = [*cells[0].baselines, *cells[0].strategies]
    return f"{scenario.name}: {len(cells)} run(s), in each of them {'; '.join(rows)}\n\n{table}"


def summary_of(scenario: "Scenario", folder: "SweepFolder", swept: "Swept", seconds: float) -> dict[str, Any]:
    """What became of a sweep that took so long."""
    return {
        "scenario": scenario.name,
        "out": str(folder.path),
        "runs": swept.runs,
        "before": swept.before,
        "failed": swept.failed,
        "seconds": round(seconds, 3),
    }


def told(summary: dict[str, Any]) -> str:
    """A summary for people."""
    failed, out = summary["failed"], summary["out"]
    good = summary["runs"] - len(failed)
    before = f", {summary['before']} of them before" if summary["before"] else ""
    lines = [
        f"{summary['scenario']}: {good} of {summary['runs']} runs done{before}, in {format_seconds(summary['seconds'])}"
    ]
    if failed:
        lines.append(f"  {len(failed)} failed: {out}/failed says why; the same command tries them again")
    lines.append(f"  to look at them: offramp evaluate report {out} --out {out}/report.html")
    return "\n".join(lines)


SWEEP = SweepCommand()
