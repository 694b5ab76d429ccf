"""docs/evaluate.md, run as it stands: from a network of one's own to a report."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

PAGE = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
TUTORIAL = PAGE.partition("## Every key of a scenario")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)


def run(command: str, desk: Path) -> str:
    program, *flags = shlex.split(command)
    assert program == "offramp"
    done = subprocess.run(
        [sys.executable, "-m", "offramp.cli", *flags],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(900)  # what the tutorial promises
def test_the_tutorial_runs_from_a_network_of_ones_own_to_its_report(tmp_path: Path) -> None:
    (network,), (scenario,) = blocks("python"), blocks("toml")
    (tmp_path / "mynet.py").write_text(network)
    (tmp_path / "mine.toml").write_text(scenario)
    told = [run(command, tmp_path) for block in blocks("bash") for command in block.strip().splitlines()]
    assert len(told) == 7
    assert len(list(tmp_path.glob("runs/mine/runs/*/record.json"))) == 8
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert (len(data["runs"]), data["meta"]["title"]) == (8, "My board on my link")
    assert "fixed:split=end, exit=confidence:0.8" in [row["name"] for row in data["rows"]]
    assert "8 pair(s) of runs" in told[-1]
