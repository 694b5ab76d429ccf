"""The check that the edge's container runs says what the edge says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offramp.bundle.store import Bundle

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).parents[2] / "deploy/docker/healthy.py"


@pytest.fixture
def edge(tiny_bundle: Bundle) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running edge and its address."""
    command = [
        sys.executable,
        "-m",
        "offramp.cli",
        "edge",
        "--listen",
        "127.0.0.1:0",
        "--bundle",
        str(tiny_bundle.path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["listen"]
        process.kill()


def ask(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, address], capture_output=True, text=True, timeout=60, check=False)


def test_an_edge_that_serves_is_healthy(edge: tuple[subprocess.Popen[str], str]) -> None:
    run = ask(edge[1])
    assert (run.returncode, run.stdout) == (0, "SERVING\n")


def test_an_edge_that_is_gone_is_not(edge: tuple[subprocess.Popen[str], str]) -> None:
    process, address = edge
    process.kill()
    process.wait()
    run = ask(address)
    assert run.returncode == 1
    assert address in run.stderr
