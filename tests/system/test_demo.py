"""The demo as a whole: `offramp demo` with the bundle that ships in the package."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.system

FRAMES = 35
"""Five phases of 0.7 s at ten frames a second."""


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "offramp.cli", "demo", "--plain", "--seconds", "0.7", "--slowdown", "5", *flags]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a whole demo printed, and its record."""
    record = tmp_path_factory.mktemp("demo") / "demo.json"
    done = subprocess.run(command("--json", str(record)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(record.read_text())


@contextmanager
def a_running_demo() -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A demo whose first run has begun, and its edge."""
    demo = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not demo.stdout.readline().startswith("run 1"):
            assert demo.poll() is None
        edge = next(child for child in psutil.Process(demo.pid).children() if "edge" in child.cmdline())
        yield demo, edge
    finally:
        demo.terminate()
        demo.communicate(timeout=20)


def test_every_run_answers_for_every_frame_of_every_phase(finished: tuple[str, dict[str, Any]]) -> None:
    _, record = finished
    assert [run["overall"]["frames"] for run in record["runs"]] == [FRAMES] * 5
    assert [[phase["frames"] for phase in run["phases"]] for run in record["runs"]] == [[7] * 5] * 5


def test_a_device_that_runs_alone_sends_nothing_and_loses_nothing(finished: tuple[str, dict[str, Any]]) -> None:
    alone = finished[1]["runs"][0]["overall"]
    end = finished[1]["conditions"]["profile"]["end"]
    assert (alone["wire_bytes"], set(alone["shares"])) == (0, {f"@{end}"})


def test_what_is_sent_over_a_good_link_is_answered_by_the_edge(finished: tuple[str, dict[str, Any]]) -> None:
    edge_only = finished[1]["runs"][1]["phases"][0]
    assert edge_only["shares"]["edge"] >= 0.5  # the rest while the stream and the plan are being opened
    assert edge_only["wire_bytes"] > edge_only["payload_bytes"] > 0


def test_in_an_outage_offramp_answers_on_the_device(finished: tuple[str, dict[str, Any]]) -> None:
    shares = finished[1]["runs"][4]["phases"][3]["shares"]
    assert sum(share for place, share in shares.items() if place.startswith("@")) >= 0.5


def test_the_orchestrator_puts_plans_into_force(finished: tuple[str, dict[str, Any]]) -> None:
    planned = finished[1]["runs"][4]
    assert planned["plan"] is None
    assert sum(map(len, planned["orders"])) >= 1


def test_the_oracle_is_replayed_over_the_same_frames_and_says_so(finished: tuple[str, dict[str, Any]]) -> None:
    replayed = finished[1]["replayed"]
    assert (replayed["simulated"], replayed["oracle"]["frames"]) == (True, FRAMES)


def test_the_table_names_every_run_and_what_is_emulated(finished: tuple[str, dict[str, Any]]) -> None:
    printed, record = finished
    table = printed[printed.index("The same 35 frames in every run") :]
    assert all(table.count(run["name"]) >= 7 for run in record["runs"])
    assert "Emulated: the link" in table


def test_a_child_that_dies_ends_the_demo_with_its_name() -> None:
    with a_running_demo() as (demo, edge):
        edge.kill()
        _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert "the edge ended in the middle (SIGKILL)" in errors


def test_an_interrupted_demo_takes_its_children_along() -> None:
    with a_running_demo() as (demo, _):
        children = psutil.Process(demo.pid).children()
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert (demo.returncode, len(gone) >= 2, alive) == (130, True, [])


def test_a_record_without_a_place_is_refused_before_anything_starts(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "missing" / "demo.json")
    done = subprocess.run(command("--json", nowhere), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "its folder does not exist" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("flag", "value"), [("--slowdown", "0.5"), ("--rate", "0"), ("--seconds", "-1"), ("--drop", "2")]
)
def test_a_number_that_makes_no_sense_is_refused(flag: str, value: str) -> None:
    done = subprocess.run(command(flag, value), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert flag.strip("-") in done.stderr
