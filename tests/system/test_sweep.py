"""Sweeps as they are run: killed by a signal, stopped by Ctrl-C, and spread over three Ray nodes."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from offramp.cli import INTERRUPTED
from offramp_evaluation.sweep.command import SWEEP
from tests.support.clusters import PATIENCE, three_nodes
from tests.support.commands import called
from tests.support.scenarios import SMALL, records_in, write_scenario
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

LONGER = SMALL.replace("[0, 1, 2]", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")


def start(scenario: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "offramp.cli",
        "evaluate",
        "sweep",
        str(scenario),
        "--out",
        str(out),
        "--jobs",
        "2",
    ]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)


def some_are_done(out: Path) -> bool:
    return len(list(out.glob("runs/*/record.json"))) >= 3


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_sweep_that_was_stopped_half_way_ends_with_the_records_of_an_unbroken_one(
    tmp_path: Path, how: signal.Signals
) -> None:
    scenario, out = write_scenario(tmp_path, LONGER), tmp_path / "stopped"
    running = start(scenario, out)
    eventually(lambda: some_are_done(out) or None, "three runs are done", PATIENCE)
    children = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, how) if how is signal.SIGINT else running.kill()
    _, told = running.communicate(timeout=PATIENCE)
    if how is signal.SIGINT:
        assert running.returncode == INTERRUPTED
        assert b"of 20 runs done; the same command goes on there" in told
        assert b"Traceback" not in told
    psutil.wait_procs(children, timeout=PATIENCE)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert len(list(out.glob("runs/*/record.json"))) < 20
    for folder in ("stopped", "unbroken"):
        assert called(SWEEP, str(scenario), "--out", str(tmp_path / folder), "--jobs", "1", "--json") == 0
    assert records_in(out) == records_in(tmp_path / "unbroken")


@pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed; pip install "offramp[orchestrator]"')
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_three_ray_nodes_end_with_the_records_of_one_process(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path)
    with three_nodes() as cluster:
        flags = ("--ray", cluster.address, "--json")
        assert called(SWEEP, str(scenario), "--out", str(tmp_path / "cluster"), *flags) == 0
    assert called(SWEEP, str(scenario), "--out", str(tmp_path / "here"), "--jobs", "1", "--json") == 0
    assert records_in(tmp_path / "cluster") == records_in(tmp_path / "here")
