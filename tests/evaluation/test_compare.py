import json
from pathlib import Path
from typing import Any

import pytest

from offramp.errors import DataError
from offramp_evaluation.report.compare_command import COMPARE
from offramp_evaluation.sweep.folder import SweepFolder
from offramp_evaluation.sweep.sweep import sweep
from offramp_evaluation.sweep.workers import Here
from tests.support.commands import called
from tests.support.scenarios import Silent, a_scenario

TEXT = """
seed = [0, 1]
link.trace = "1mbit,20ms"
load = { samples = 400, rate = 8 }
device.slowdown = {slowdown}
rows = { strategies = ["search"], baselines = ["device"] }
"""


def swept(folder: Path, name: str, slowdown: int, *changes: str) -> Path:
    scenario = a_scenario(folder, TEXT.replace("{slowdown}", str(slowdown)), *changes)
    sweep(scenario, SweepFolder(folder / name), Here(), Silent())
    return folder / name


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two sweeps of one scenario; in the second, the profile of the board tells a faster one."""
    folder = tmp_path_factory.mktemp("compare")
    slow, fast = swept(folder, "slow", 60), swept(folder, "fast", 50)
    for path in fast.rglob("record.json"):  # one key is named differently, or the two would not be the same runs
        path.write_text(path.read_text().replace('"device.slowdown": "50"', '"device.slowdown": "60"'))
    return slow, fast


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[tuple[str, str], dict[str, Any]]:
    assert called(COMPARE, *map(str, arguments), "--json") == 0
    return {(one["row"], one["metric"]): one for one in json.loads(capsys.readouterr().out)}


def test_a_faster_board_is_better_by_what_it_is_faster(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(capsys, *both)
    one = found["all on the device", "mean latency"]
    assert one["verdict"] == "second"
    assert one["difference"] == pytest.approx(one["first"] * 10 / 60, rel=1e-6)
    assert one["interval"]["low"] <= one["difference"] <= one["interval"]["high"]
    assert (one["runs"], one["samples"]) == (2, 800)
    assert found["all on the device", "accuracy"]["verdict"] == "undecided"


def test_a_sweep_is_no_better_than_itself(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, both[0], both[0])
    assert {one["verdict"] for one in found.values()} == {"undecided"}
    assert {one["difference"] for one in found.values()} == {0.0}


def test_two_rows_of_one_sweep_can_be_compared(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, both[0], both[0], "--row", "search", "--against", "all on the device")
    assert found["search", "mean latency"]["verdict"] == "first"
    assert found["search", "mean latency"]["against"] == "all on the device"


def test_many_comparisons_share_the_error(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    alone = compared(capsys, *both, "--row", "search")
    among = compared(capsys, *both)
    confidence = [found["search", "bytes"]["interval"]["confidence"] for found in (alone, among)]
    assert confidence == [pytest.approx(1 - 0.05 / 4), pytest.approx(1 - 0.05 / 8)]


def test_the_table_says_who_is_better_and_how_sure_that_is(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(COMPARE, *map(str, both)) == 0
    shown = capsys.readouterr().out
    assert "no difference shown" in shown
    assert "2 pair(s) of runs, 800 samples of each row" in shown


def test_what_cannot_be_paired_is_refused_with_a_way_out(both: tuple[Path, Path], tmp_path: Path) -> None:
    other = swept(tmp_path, "other", 30)
    with pytest.raises(DataError, match="compare two runs, or two sweeps of one scenario"):
        called(COMPARE, str(both[0]), str(other))
    with pytest.raises(DataError, match="there is no row 'serach'; there are"):
        called(COMPARE, str(both[0]), str(both[1]), "--row", "serach")
    shorter = swept(tmp_path, "shorter", 60, "seed=0", "load.samples=300")
    (one,) = shorter.glob("runs/*")
    with pytest.raises(DataError, match="samples are in one of the two runs only"):
        called(COMPARE, str(next(both[0].glob("runs/*"))), str(one))
    (one / "samples.parquet").unlink()
    with pytest.raises(DataError, match="is not beside its record"):
        called(COMPARE, str(one), str(one))
