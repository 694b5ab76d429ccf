"""Scenario files for tests: small sweeps over the shipped demo."""

import json
import tomllib
from pathlib import Path
from typing import Any

from offramp.bundle.store import Bundle
from offramp.measure.profile import Profile
from offramp_evaluation.sweep.scenario import Scenario, read_scenario

SMALL = """
seed = [0, 1, 2]
[link]
trace = ["2mbit,20ms", { markov = ["8mbit", "0.5mbit"], dwell = "1s", duration = "10s", seed = 1 }]
[load]
samples = 16
[device]
slowdown = 50
[rows]
strategies = ["search"]
baselines = ["device"]
"""
"""Six runs of two rows each."""


class NoProfiles:
    """For scenarios that come with theirs."""

    def here(self, bundle: Bundle) -> Profile:
        raise AssertionError(f"nobody should time {bundle.manifest.name}")


class Silent:
    """A watch that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.done = self.total = 0

    def begin(self, what: str, done: int, total: int) -> None:
        self.done, self.total = done, total

    def advance(self, runs: int) -> None:
        self.done += runs

    def say(self, text: str) -> None:
        self.said.append(text)


def write_scenario(folder: Path, text: str = SMALL) -> Path:
    path = folder / "small.toml"
    tomllib.loads(text)  # or the test says nothing about what it means to
    path.write_text(text, encoding="utf-8")
    return path


def a_scenario(folder: Path, text: str = SMALL, *changes: str) -> Scenario:
    return read_scenario(write_scenario(folder, text), changes, NoProfiles())


def records_in(out: Path) -> dict[str, Any]:
    """By run, without what may differ between two of them; the table of all as bytes."""
    found = {}
    for path in sorted(out.glob("runs/*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record.pop("run")["machine"]
        found[path.parent.name] = (record, (path.parent / "samples.parquet").read_bytes())
    return found | {"table": (out / "runs.parquet").read_bytes()}
