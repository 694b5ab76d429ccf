import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import psutil
import pyarrow.parquet
import pytest

from offramp.errors import InputError
from offramp.tape.columns import logits_column
from offramp.tape.header import FINAL
from offramp_evaluation.assets import DEMO_TAPE
from offramp_evaluation.sweep.cell import Cell
from offramp_evaluation.sweep.command import SWEEP
from offramp_evaluation.sweep.folder import SweepFolder
from offramp_evaluation.sweep.run import Failed, Outcome
from offramp_evaluation.sweep.sweep import Swept, sweep
from offramp_evaluation.sweep.workers import Here, Processes, Workers
from tests.support.commands import called
from tests.support.scenarios import SMALL, Silent, a_scenario, records_in, write_scenario


class Killed(Here):
    """Ends after so many runs, as a killed process would."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        yield from islice(super().run(cells), self._after)
        raise KeyboardInterrupt


def swept(folder: Path, out: Path, workers: Workers, text: str = SMALL) -> tuple[Swept, Silent]:
    watch = Silent()
    with workers:
        return sweep(a_scenario(folder, text), SweepFolder(out), workers, watch), watch


def test_a_sweep_that_was_killed_goes_on_and_ends_with_the_records_of_an_unbroken_one(tmp_path: Path) -> None:
    swept(tmp_path, tmp_path / "unbroken", Here())
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, tmp_path / "killed", Killed(after=2))
    (tmp_path / "killed" / "runs" / ".writing-1").mkdir()  # it was about to write the third
    found, watch = swept(tmp_path, tmp_path / "killed", Here())
    assert (found.before, watch.done, watch.total) == (2, 6, 6)
    assert records_in(tmp_path / "killed") == records_in(tmp_path / "unbroken")
    assert not list(tmp_path.glob("killed/runs/.writing-*"))


def test_processes_end_with_the_records_of_one(tmp_path: Path) -> None:
    swept(tmp_path, tmp_path / "here", Here())
    swept(tmp_path, tmp_path / "processes", Processes(2))
    assert records_in(tmp_path / "processes") == records_in(tmp_path / "here")


def test_a_value_more_costs_its_own_runs_alone(tmp_path: Path) -> None:
    swept(tmp_path, tmp_path / "out", Here(), SMALL)
    found, _ = swept(tmp_path, tmp_path / "out", Here(), SMALL.replace("[0, 1, 2]", "[0, 1, 2, 3]"))
    assert (found.runs, found.before) == (8, 6)


def test_runs_of_another_scenario_are_not_mixed_in(tmp_path: Path) -> None:
    swept(tmp_path, tmp_path / "out", Here(), "seed = 0\nload.samples = 5\nrows.baselines = []")
    with pytest.raises(InputError, match="holds 1 run.s. that are not of this scenario"):
        swept(tmp_path, tmp_path / "out", Here(), "seed = 0\nload.samples = 6\nrows.baselines = []")


def a_broken_tape(folder: Path) -> str:
    """A network whose tape can be opened, but says nothing: what the whole network answered is overwritten."""
    group = pyarrow.parquet.ParquetFile(DEMO_TAPE).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    (column,) = [one for one in columns if one.path_in_schema.startswith(logits_column(FINAL))]
    content, first = bytearray(DEMO_TAPE.read_bytes()), column.dictionary_page_offset or column.data_page_offset
    content[first : first + column.total_compressed_size] = bytes(column.total_compressed_size)
    (folder / "broken.tape").write_bytes(content)
    good, bad = '[[network]]\nname = "good"\n', '[[network]]\nname = "bad"\ntape = "broken.tape"\n'
    return SMALL.replace("[0, 1, 2]", "0") + good + bad


def test_a_run_that_fails_is_told_and_does_not_end_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, out = write_scenario(tmp_path, a_broken_tape(tmp_path)), tmp_path / "out"
    assert called(SWEEP, str(scenario), "--out", str(out), "--jobs", "1", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["runs"], len(summary["failed"])) == (4, 2)
    notes = [json.loads(path.read_text()) for path in out.glob("failed/*.json")]
    assert {note["axes"]["network"] for note in notes} == {"bad"}
    assert all("broken.tape" in note["reason"] for note in notes)
    table = pyarrow.parquet.read_table(out / "runs.parquet").to_pylist()
    assert {line["network"] for line in table} == {"good"}
    assert len(table) == 2 * 2


def test_a_failed_run_that_succeeds_later_is_no_longer_noted(tmp_path: Path) -> None:
    scenario, folder = a_scenario(tmp_path, "load.samples = 5\nrows.baselines = []"), SweepFolder(tmp_path / "out")
    folder.begin(scenario)
    folder.note(scenario.cells[0], Failed(reason="it rained"))
    assert list(tmp_path.glob("out/failed/*.json"))
    sweep(scenario, folder, Here(), Silent())
    assert not list(tmp_path.glob("out/failed/*.json"))


class Murderous(Processes):
    """Kills the process that performs the first run, while it does."""

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        waiting = iter(cells)

        def watched() -> Iterator[Cell]:
            yield next(waiting)
            for child in psutil.Process().children():
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
            yield from waiting

        return super().run(watched())


def test_a_process_that_dies_takes_one_run_with_it(tmp_path: Path) -> None:
    found, watch = swept(tmp_path, tmp_path / "out", Murderous(2))
    assert [*found.failed.values()] == [watch.said[0].partition("): ")[2]]
    assert "killed by signal 9" in watch.said[0]
    assert len(list(tmp_path.glob("out/runs/*/record.json"))) == 5


def test_runs_can_be_listed_without_performing_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(SWEEP, str(write_scenario(tmp_path)), "--out", str(tmp_path / "out"), "--list") == 0
    shown = capsys.readouterr().out
    assert "small: 6 run(s), in each of them device; search" in shown
    assert "markov 1    2" in shown
    assert not (tmp_path / "out").exists()


def test_a_record_says_what_it_was_made_by(tmp_path: Path) -> None:
    swept(tmp_path, tmp_path / "out", Here(), "load.samples = 5\nrows.baselines = []")
    (path,) = tmp_path.glob("out/runs/*/record.json")
    record = json.loads(path.read_text())
    assert {"commit", "offramp", "python", "numpy", "machine", "started", "seconds"} <= record["run"].keys()
    assert record["axes"]["load.samples"] == "5"
