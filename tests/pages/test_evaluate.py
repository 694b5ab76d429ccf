"""docs/evaluate.md, run as it stands: from a network of one's own to a report."""

import json
import re
from pathlib import Path

import pytest

from tests.support.pages import DOCS, blocks, run_line

TUTORIAL = (DOCS / "evaluate.md").read_text(encoding="utf-8").partition("## Every key of a scenario")[0]


@pytest.mark.timeout(900)  # what the tutorial promises
def test_the_tutorial_runs_from_a_network_of_ones_own_to_its_report(tmp_path: Path) -> None:
    (network,), (scenario,) = blocks(TUTORIAL, "python"), blocks(TUTORIAL, "toml")
    (tmp_path / "mynet.py").write_text(network)
    (tmp_path / "mine.toml").write_text(scenario)
    told = [run_line(command, tmp_path) for block in blocks(TUTORIAL, "bash") for command in block.strip().splitlines()]
    assert len(told) == 9
    assert len(list(tmp_path.glob("runs/mine/runs/*/record.json"))) == 8
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert (len(data["runs"]), data["meta"]["title"]) == (8, "My board on my link")
    assert "fixed:split=end, exit=confidence:0.8" in [row["name"] for row in data["rows"]]
    assert "8 pair(s) of runs" in told[6]
    assert "1 pair(s) of runs" in told[8]
