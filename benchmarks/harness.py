"""How the benchmarks measure: cases take turns in one run, and only ratios between them are claimed.

    a a a … | b b b … | c c c … | a a a … | b b b … | c c c … | …        processes, in short bursts
    a b c | b a c | c a b | …                                            within a process, shuffled

A machine's clock, caches and neighbours drift by tens of per cent within minutes; interleaved cases drift together.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.measure.profile import describe_host

Case = Callable[[], object]
ROOT = Path(__file__).parent.parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
"""Those that this process may use."""
BURSTS = 50
"""Turns that every process has in a run."""
BLOCKS = 10
"""The rounds are cut into this many blocks, and a ratio is taken in each, to see how much it moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Median of one case over the median of another, and how it moved over the run."""

    value: float
    low: float
    high: float
    """The smallest and the largest over blocks of rounds."""


class Times:
    """Seconds of every case in every round."""

    def __init__(self, seconds: Mapping[str, NDArray[np.float64]]) -> None:
        self._seconds = seconds

    def p50(self, name: str) -> float:
        return float(np.median(self._seconds[name]))

    def ratio(self, name: str, to: str) -> Ratio:
        above, below = self._seconds[name], self._seconds[to]
        blocks = [
            float(np.median(a) / np.median(b))
            for a, b in zip(np.array_split(above, BLOCKS), np.array_split(below, BLOCKS), strict=True)
        ]
        return Ratio(value=self.p50(name) / self.p50(to), low=min(blocks), high=max(blocks))

    def record(self) -> dict[str, dict[str, float]]:
        quantiles = (("p25", 0.25), ("p50", 0.5), ("p75", 0.75))
        return {
            name: {"rounds": len(values)} | {key: float(np.quantile(values, share)) for key, share in quantiles}
            for name, values in self._seconds.items()
        }


def shuffled(cases: Mapping[str, Case], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of every case in every round, in an order drawn anew for each round.

    A case that always followed the same other one would pay for the caches that it left cold.
    """
    rng = np.random.default_rng()
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for place in rng.permutation(len(names)):
            call = cases[names[place]]
            before = time.perf_counter()
            call()
            seconds[names[place]].append(time.perf_counter() - before)
    return seconds


def alternate(sides: Sequence[Callable[[int], Mapping[str, list[float]]]], *, rounds: int) -> Times:
    """Let several processes take turns, a short burst each: together they would slow each other down.

    A side takes a number of rounds and returns the seconds of each of its cases.
    """
    burst = max(1, rounds // BURSTS)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds // burst):
        for side in sides:
            for name, values in side(burst).items():
                seconds.setdefault(name, []).extend(values)
    return Times({name: np.array(values) for name, values in seconds.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was promised, and what was found."""

    name: str
    found: float
    limit: float
    at_most: bool = True
    unit: str = "×"
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.found <= self.limit if self.at_most else self.found >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"{self.name:52} {self.found:8.3f} {sign} {self.limit:g} {self.unit:3} {verdict}   {self.detail}"


def a_parser(description: str) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON record instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a measurement")
    parser.add_argument(
        "--pin", action="store_true", help="keep this process on the first core and the other end on the last"
    )
    return parser


def report(title: str, claims: Sequence[Claim], details: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    """Print the claims, or everything as JSON. Returns the exit code: 1 when a claim does not hold."""
    if arguments.json:
        claimed = [asdict(claim) | {"holds": claim.holds} for claim in claims]
        record = {"benchmark": title, "claims": claimed, "machine": machine(), "details": dict(details)}
        print(json.dumps(record | {"pinned": arguments.pin, "quick": arguments.quick}))
    else:
        print(f"{title}   ({describe_host()}, {len(CORES)} cores)")
        for claim in claims:
            print(f"  {claim}")
    return 0 if all(claim.holds for claim in claims) else 1


def say(text: str) -> None:
    """How far it is: beside what is measured, which goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """What the numbers depend on, as far as it can be read."""
    packages = ("numpy", "onnxruntime", "grpcio", "protobuf", "zstandard", "pillow")
    return {
        "host": describe_host(),
        "cores": len(CORES),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "load": os.getloadavg()[0],
        "commit": _commit(),
    }


def pin(core: int, process: int = 0) -> None:
    """Keep a process (0: this one), and the threads it will start, on one core; where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {core})


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
