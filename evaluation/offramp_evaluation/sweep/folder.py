"""Where a sweep lies, and what of it is done.

    OUT/runs/NAME/record.json, samples.parquet   one run each, written entirely or not at all
    OUT/failed/NAME.json                         why a run has none; removed once it has
    OUT/stopped/NAME/record.json, …              the rows of a live run that was stopped; removed once it is done
    OUT/runs.parquet                             every row of every run, one line each, once all runs are done
    OUT/sweep.json                               the scenario, its runs in order, and what failed
    OUT/profile-DIGEST.json                      of this machine, where the scenario named none

Killed at any moment, the same command goes on: a run that has its record is not performed again.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offramp.bundle.store import Bundle
from offramp.errors import SettingsError
from offramp.measure.here import profile_here
from offramp.measure.profile import Profile, read_profile, write_profile
from offramp_evaluation.replay.record import write_record
from offramp_evaluation.sweep.cell import Cell
from offramp_evaluation.sweep.rows import write_rows
from offramp_evaluation.sweep.run import Failed, Performed
from offramp_evaluation.sweep.scenario import Scenario

RECORD, SWEEP, TABLE = "record.json", "sweep.json", "runs.parquet"


class SweepFolder:
    """One writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def here(self, bundle: Bundle) -> Profile:
        """The profile of this machine for a bundle, measured when it is first asked for."""
        kept = self.path / f"profile-{bundle.manifest.model_digest[:12]}.json"
        if not kept.is_file():
            self.path.mkdir(parents=True, exist_ok=True)
            write_profile(profile_here(bundle), kept)
        return read_profile(kept)

    def begin(self, scenario: Scenario) -> list[Cell]:
        """The runs that are still to be performed.

        Raises:
            SettingsError: Runs lie there that are not of this scenario: a table of both would mix two studies.
        """
        asked = {cell.name for cell in scenario.cells}
        there = {path.parent.name for path in self.path.glob(f"runs/*/{RECORD}")}
        if strange := sorted(there - asked):
            raise SettingsError(
                f"{self.path} holds {len(strange)} run(s) that are not of this scenario, such as {strange[0]}; name "
                "another --out, or delete that folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        for left in self.path.glob("runs/.writing-*"):
            shutil.rmtree(left, ignore_errors=True)
        return [cell for cell in scenario.cells if cell.name not in there]

    def write(self, cell: Cell, done: Performed) -> None:
        """Keep a run; it is on disk when this returns."""
        runs = self.path / "runs"
        fresh = runs / f".writing-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        write_record(done.record, done.samples, fresh)
        fresh.rename(runs / cell.name)
        self._failure(cell).unlink(missing_ok=True)
        shutil.rmtree(self._stopped(cell), ignore_errors=True)

    def keep_stopped(self, cell: Cell, done: Performed) -> Path:
        """Keep the rows that a live run has so far; it is performed anew all the same. Returns where they are."""
        place = self._stopped(cell)
        write_record(done.record, done.samples, place)
        return place

    def count(self) -> int:
        """Runs that are done."""
        return len(list(self.path.glob(f"runs/*/{RECORD}")))

    def note(self, cell: Cell, failed: Failed) -> None:
        """Keep why a run has no record."""
        place = self._failure(cell)
        place.parent.mkdir(exist_ok=True)
        what = {"run": cell.name, "axes": dict(cell.axes), "reason": failed.reason, "trace": failed.trace}
        place.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def finish(self, scenario: Scenario, failed: Sequence[Cell]) -> None:
        """Write the table of all runs, and what the sweep was."""
        lost = {cell.name for cell in failed}
        cells = [cell for cell in scenario.cells if cell.name not in lost]
        write_rows([(cell.name, self._read(cell)) for cell in cells], self.path / TABLE)
        what = {
            "kind": "sweep",
            "name": scenario.name,
            "about": scenario.about,
            "varied": list(scenario.varied),
            "runs": [{"run": cell.name, "axes": dict(cell.axes)} for cell in scenario.cells],
            "failed": sorted(lost),
        }
        text = json.dumps(what, indent=1, ensure_ascii=False) + "\n"
        (self.path / SWEEP).write_text(text, encoding="utf-8")

    def _read(self, cell: Cell) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.path / "runs" / cell.name / RECORD).read_text(encoding="utf-8"))
        return record

    def _stopped(self, cell: Cell) -> Path:
        return self.path / "stopped" / cell.name

    def _failure(self, cell: Cell) -> Path:
        return self.path / "failed" / f"{cell.name}.json"
