"""`offramp evaluate live` as it is run: real devices behind a shaped link, and a record like that of a replay."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from offramp.cli import INTERRUPTED
from offramp_evaluation.live.command import LIVE
from offramp_evaluation.replay.record import decode_samples
from offramp_evaluation.report.command import REPORT
from offramp_evaluation.report.compare_command import COMPARE
from offramp_evaluation.shaper.namespaces import PLACE, why_not
from offramp_evaluation.sweep.command import SWEEP
from tests.support.commands import called, refused
from tests.support.scenarios import write_scenario
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PATIENCE = 120.0
SCENARIO = """
[link]
trace = "1s:4mbit,10ms; 1mbit,20ms"
shared = true
[load]
samples = 8
rate = 4
devices = 3
arrivals = "poisson"
[device]
slowdown = 100
[rows]
strategies = ["search"]
baselines = ["static"]
plans = ["split=0, codec=jpeg:75"]
"""
DEVICES, SAMPLES = 3, 8
COMMAND = (sys.executable, "-m", "offramp.cli", "evaluate", "live")


def performed(*flags: str) -> int:
    """In a process of its own, whose thread pool nobody has sized yet: its exit code."""
    return subprocess.run([*COMMAND, *flags], check=False, timeout=2 * PATIENCE).returncode


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a live run of three rows: a plan that stays, an orchestrator's choice, a plan that was written."""
    folder = tmp_path_factory.mktemp("live")
    scenario = write_scenario(folder, SCENARIO)
    assert performed(str(scenario), "--out", str(folder / "out"), "--json") == 0
    return folder / "out"


def record_in(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("runs/*/record.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_every_sample_of_every_device_is_in_every_row(live: Path) -> None:
    (path,) = live.glob("runs/*/samples.parquet")
    asked = {(f"device {device}", index) for device in range(DEVICES) for index in range(SAMPLES)}
    rows = decode_samples(path.read_bytes())
    assert len(rows) == 3
    for outcomes in rows.values():
        told = list(zip(outcomes.stream_N.tolist(), outcomes.index_N.tolist(), strict=True))
        assert (len(told), set(told)) == (len(asked), asked)


def test_the_record_says_that_it_was_measured_and_what_was_emulated(live: Path) -> None:
    record = record_in(live)
    assert (record["kind"], record["simulated"], record["live"]["complete"]) == ("live", False, True)
    assert "the links" in record["live"]["emulated"][0]
    assert record["inputs"]["devices"] == DEVICES
    rows = [(row["views"]["steps"].values(), row["summary"]["latency"]["mean"]) for row in record["rows"]]
    assert any(mean is not None for _, mean in rows)
    for steps, mean in rows:
        if mean is None:  # a busy machine may answer none of a row in time; then nothing is said of its steps either
            assert set(steps) == {None}
        else:
            assert sum(steps) == pytest.approx(mean, rel=1e-3)


def test_pictures_that_cross_the_link_take_as_long_as_it_takes(live: Path) -> None:
    row = next(row for row in record_in(live)["rows"] if row["name"].startswith("fixed:"))
    assert row["plans"] == {"split=0, exit=none, codec=jpeg:75": DEVICES * SAMPLES}
    # Two ways of 10 ms at least; nothing may be faster.
    assert row["summary"]["latency"]["p50"] > 0.020


def test_live_and_replay_of_one_scenario_are_of_the_same_samples(live: Path, tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, SCENARIO)
    assert called(SWEEP, str(scenario), "--out", str(tmp_path / "out"), "--jobs", "1", "--json") == 0
    (replayed,), (measured,) = tmp_path.glob("out/runs/*/samples.parquet"), live.glob("runs/*/samples.parquet")
    # At the edge all pictures are answered by the same network, which says the same.
    name = "fixed:split=0, codec=jpeg:75"
    tables = [decode_samples(path.read_bytes())[name] for path in (replayed, measured)]
    one, other = (table.label_N[np.lexsort((table.index_N, table.stream_N))] for table in tables)
    answered = other >= 0
    assert answered.any()
    assert (one == other)[answered].mean() > 0.9
    assert called(COMPARE, str(live), str(tmp_path / "out"), "--json") == 0


def test_a_report_draws_a_live_run(live: Path, tmp_path: Path) -> None:
    assert called(REPORT, str(live), "--out", str(tmp_path / "live.html")) == 0


def test_a_live_run_that_is_done_is_not_performed_again(live: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scenario = live.parent / "small.toml"
    assert performed(str(scenario), "--out", str(live), "--json") == 0
    assert json.loads(capfd.readouterr().out)["before"] == 1


def test_a_replay_of_the_same_scenario_does_not_take_its_place(live: Path) -> None:
    assert "not of this scenario" in refused(SWEEP, str(live.parent / "small.toml"), "--out", str(live))


def test_ctrl_c_ends_all_processes_and_keeps_the_rows_that_are_done(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, SCENARIO.replace("samples = 8", "samples = 10").replace('["search"]', "[]"))
    command = [*COMMAND, str(scenario), "--out", str(tmp_path / "out")]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    said = [running.stderr.readline()]
    while "row 2 of 2" not in said[-1]:
        assert said[-1], "".join(said)
        said.append(running.stderr.readline())
    children = eventually(lambda: psutil.Process(running.pid).children(recursive=True), "children are there", PATIENCE)
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=PATIENCE)
    assert running.returncode == INTERRUPTED
    assert "stopped after 1 of 2 rows; left out: fixed:split=0, codec=jpeg:75" in told
    assert "stopped with 0 of 1 runs done" in told
    assert "Traceback" not in told
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    (kept,) = (tmp_path / "out").glob("stopped/*/record.json")
    record = json.loads(kept.read_text())
    assert (record["live"]["complete"], len(record["rows"])) == (False, 1)


def test_what_no_live_run_can_tell_is_refused_with_a_way_out(tmp_path: Path) -> None:
    scenario = str(write_scenario(tmp_path, SCENARIO))
    assert "answers the same question in seconds" in refused(LIVE, "--speed", "10")
    assert "change the scenario with --set" in refused(LIVE, scenario, "--out", str(tmp_path / "x"), "--rate", "5")
    assert "needs --out DIR" in refused(LIVE, scenario)
    assert "where the samples of the tape are" in refused(LIVE, "--bundle", "mine", "--tape", "mine.tape")


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_links_may_be_of_packets_in_namespaces_which_are_gone_afterwards(tmp_path: Path) -> None:
    flags = ("--link", "4mbit,20ms", "--samples", "4", "--devices", "2", "--slowdown", "100", "--baselines", "none")
    flags += ("--strategies", "fixed:split=0, codec=jpeg:75", "--shape", "tun", "--out", str(tmp_path))
    before = set(PLACE.glob("*")) if PLACE.exists() else set()
    assert performed(*flags) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["live"]["emulated"][0] == "the links, packet by packet in user space"
    (row,) = record["rows"]
    assert row["summary"]["samples"] == 8
    assert row["summary"]["latency"]["p50"] > 0.040
    assert set(PLACE.glob("*")) <= before


@pytest.mark.skipif(not why_not(), reason="this is root, who may")
def test_without_rights_links_of_packets_are_refused_with_a_way_out() -> None:
    assert "--shape proxy needs no rights" in refused(LIVE, "--shape", "tun")
