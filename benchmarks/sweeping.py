"""A sweep of 500 runs, killed half-way and gone on with, and the report that is made of it.

sweep ─ killed when half of it is done ─► the same command ─┐ the same records? (what may differ lies under `run`)
sweep ─ unbroken ───────────────────────────────────────────┘
report ─► one page: how large, how soon drawn in Chromium, what does its console say
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import CORES, ROOT, Claim, a_parser, report
from benchmarks.processes import environment
from offramp_evaluation.sweep.folder import SweepFolder

RUNS = 500
SCENARIO = """
name = "Many runs"
seed = {seeds}
[link]
trace = ["2mbit,20ms", {{ markov = ["8mbit", "0.5mbit", "outage"], dwell = "2s", duration = "30s", seed = 1 }}]
[load]
samples = 24
[device]
slowdown = [20, 50]
[rows]
strategies = ["search"]
baselines = ["device", "static"]
"""
"""Four runs for each seed, of three rows."""
SIZES, TIMES = ((1280, 900), (390, 844)), 3
LARGEST, SOON = 8e6, 3.0


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, help=f"a multiple of four (default: {RUNS})")
    arguments = parser.parse_args()
    runs = arguments.runs or (40 if arguments.quick else RUNS)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "many.toml"
        scenario.write_text(SCENARIO.format(seeds=list(range(runs // 4))), encoding="utf-8")
        broken, whole = Path(folder) / "broken", Path(folder) / "whole"
        done = kill_half_way(scenario, broken, runs)
        sweep(scenario, broken).wait()
        began = time.perf_counter()
        sweep(scenario, whole).wait()
        took = time.perf_counter() - began
        there, wanted = records_in(broken), records_in(whole)
        same = sum(there.get(name) == record for name, record in wanted.items())
        told = f"killed after {done}; unbroken in {took:.0f} s on {len(CORES)} core(s)"
        claims = [Claim(name="same after a kill", found=same, limit=runs, at_most=False, unit="", detail=told)]
        details: dict[str, object] = {"killed_after": done, "seconds": took}
        claims += on_a_page(whole, Path(folder) / "many.html", details)
    return report("sweeping", claims, details, arguments)


def kill_half_way(scenario: Path, out: Path, runs: int) -> int:
    """How many runs were done when it was killed."""
    process, folder = sweep(scenario, out), SweepFolder(out)
    while folder.count() < runs // 2:
        if process.poll() is not None:
            raise SystemExit(f"the sweep ended with exit code {process.returncode} before it was killed")
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return folder.count()


def sweep(scenario: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "offramp.cli", "evaluate", "sweep", str(scenario), "--out", str(out)]
    command += ["--jobs", str(len(CORES)), "--json"]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, env=environment())


def records_in(out: Path) -> dict[str, Any]:
    """By run: its record but for `run`, and the bytes of its samples."""
    found = {}
    for path in out.glob("runs/*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["run"]
        found[path.parent.name] = record, (path.parent / "samples.parquet").read_bytes()
    return found


def on_a_page(records: Path, page: Path, details: dict[str, object]) -> list[Claim]:
    """The sweep's own page, and one as large as they come: more rows, and every time line full."""
    sys.path.insert(0, str(ROOT))  # browser and records are those of the tests
    from offramp_evaluation.report.page import write_page
    from tests.support.records import many_runs

    command = [sys.executable, "-m", "offramp.cli", "evaluate", "report", str(records), "--out", str(page)]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
    largest = page.with_name("largest.html")
    write_page(many_runs(RUNS), largest)
    return [*opened("the sweep's page", page, details), *opened(f"the largest of {RUNS} runs", largest, details)]


def opened(name: str, page: Path, details: dict[str, object]) -> Iterator[Claim]:
    from tests.support.browser import MISSING, Browser

    yield Claim(name=f"{name}: size", found=page.stat().st_size / 1e6, limit=LARGEST / 1e6, unit="MB")
    if MISSING:
        print(f"  left out, opening {name}: {MISSING}", file=sys.stderr)
        return
    found, said = [], list[str]()
    for size in SIZES:
        with Browser(*size) as browser:
            for _ in range(TIMES):
                browser.open(page)
                # The page draws itself before its load event ends.
                times = "performance.getEntriesByType('navigation')[0]"
                found.append(browser.ask(f"{times}.loadEventEnd - {times}.startTime") / 1e3)
                said += browser.console()
    details[name] = found
    detail = f"median of {len(found)}, at a desk and on a phone, {min(found):.2f} to {max(found):.2f}"
    yield Claim(name=f"{name}: until it is drawn", found=median(found), limit=SOON, unit="s", detail=detail)
    yield Claim(name=f"{name}: errors and warnings on its console", found=len(said), limit=0, unit="")


if __name__ == "__main__":
    sys.exit(main())
