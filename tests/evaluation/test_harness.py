"""The benchmarks' own arithmetic."""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import Claim, Times, alternate, report, shuffled

ROOT = Path(__file__).parents[2]


def test_every_case_is_timed_once_a_round_in_changing_order() -> None:
    called: list[str] = []
    seconds = shuffled({name: lambda name=name: called.append(name) for name in "abc"}, rounds=40)
    rounds = ["".join(called[start : start + 3]) for start in range(0, len(called), 3)]
    assert {len(values) for values in seconds.values()} == {40}
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert len(set(rounds)) > 1


def test_processes_take_turns_in_short_bursts() -> None:
    turns: list[tuple[str, int]] = []

    def side(name: str) -> Callable[[int], Mapping[str, list[float]]]:
        def take(count: int) -> Mapping[str, list[float]]:
            turns.append((name, count))
            return {name: [1.0] * count}

        return take

    times = alternate([side("a"), side("b")], rounds=100)
    assert [name for name, _ in turns[:4]] == ["a", "b", "a", "b"]
    assert {name: one["rounds"] for name, one in times.record().items()} == {"a": 100, "b": 100}


def test_a_ratio_is_that_of_the_medians_with_its_range_over_the_run() -> None:
    slow = np.concatenate([np.full(50, 2.0), np.full(60, 3.0)])
    ratio = Times({"slow": slow, "fast": np.ones(110)}).ratio("slow", "fast")
    assert (ratio.value, ratio.low, ratio.high) == (3.0, 2.0, 3.0)


def test_one_stall_does_not_move_a_ratio() -> None:
    stalled = np.ones(100)
    stalled[17] = 1e3
    assert Times({"a": stalled, "b": np.ones(100)}).ratio("a", "b").value == 1.0


@pytest.mark.parametrize(
    ("found", "limit", "at_most", "holds"),
    [(1.1, 1.15, True, True), (1.2, 1.15, True, False), (0.95, 0.9, False, True), (0.8, 0.9, False, False)],
)
def test_a_claim_holds_on_its_own_side_of_the_limit(found: float, limit: float, at_most: bool, holds: bool) -> None:
    assert Claim(name="a claim", found=found, limit=limit, at_most=at_most).holds is holds


@pytest.mark.parametrize(("found", "code"), [(1.0, 0), (2.0, 1)])
def test_the_record_says_what_was_claimed_and_where_and_the_exit_code_whether_it_holds(
    found: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(json=True, quick=False, pin=False)
    assert report("a test", [Claim(name="a claim", found=found, limit=1.5)], {}, arguments) == code
    printed = json.loads(capsys.readouterr().out)
    assert printed["claims"][0]["holds"] is (code == 0)
    assert printed["machine"]["packages"]["numpy"] == np.__version__


def benchmarks() -> list[str]:
    """As `make bench` runs them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (named,) = re.findall(r"^BENCHMARKS := (.+)$", makefile, re.MULTILINE)
    return str(named).split()


@pytest.mark.parametrize("name", benchmarks())
def test_every_benchmark_says_what_it_does(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
