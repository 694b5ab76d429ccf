"""Every scenario that ships runs, shortened, and is told about."""

import json
import tomllib
from pathlib import Path

import pytest

from offramp_evaluation.report.command import REPORT
from offramp_evaluation.sweep.command import SWEEP
from offramp_evaluation.sweep.scenario import read_scenario
from tests.support.commands import called
from tests.support.scenarios import NoProfiles

GALLERY = Path(__file__).parents[2] / "evaluation" / "scenarios"
SCENARIOS = sorted(GALLERY.glob("*.toml"))
SHORTER = ("--set", "load.samples=6", "--set", 'rows.baselines=["static"]', "--set", 'rows.strategies=["search"]')
KINDS = {"demo-steps", "lte-commute", "flaky-wifi", "shared-uplink", "overloaded-edge", "battery-board"}


def test_the_gallery_has_what_was_promised() -> None:
    assert {path.stem for path in SCENARIOS} == KINDS


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_runs_and_can_be_drawn(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(SWEEP, str(path), "--out", str(tmp_path / "out"), "--jobs", "1", "--json", *SHORTER) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["failed"] == {}
    assert called(REPORT, str(tmp_path / "out"), "--out", str(tmp_path / "page.html")) == 0
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    assert " ".join(told["about"].split()) in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_readme_tells_how_many_runs_a_scenario_has(path: Path) -> None:
    runs = len(read_scenario(path, [], NoProfiles()).cells)
    assert f"| [{path.name}]({path.name}) | {runs} |" in (GALLERY / "README.md").read_text(encoding="utf-8")
