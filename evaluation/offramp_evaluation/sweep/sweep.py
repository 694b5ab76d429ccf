"""One sweep, from beginning to end.

scenario ─► runs without a record ─► workers ─► records, and why there are none ─► the table of all
"""

from dataclasses import dataclass
from typing import Protocol

from offramp_evaluation.sweep.cell import Cell
from offramp_evaluation.sweep.folder import SweepFolder
from offramp_evaluation.sweep.run import Failed
from offramp_evaluation.sweep.scenario import Scenario
from offramp_evaluation.sweep.workers import Workers


class Watch(Protocol):
    """Who is told how far it is."""

    def begin(self, what: str, done: int, total: int) -> None:
        """`total` runs, of which so many were done before."""
        ...

    def advance(self, runs: int) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What became of it."""

    runs: int
    before: int
    """That had their record already."""
    failed: dict[str, str]
    """Name of a run to why it has none."""


def sweep(scenario: Scenario, folder: SweepFolder, workers: Workers, watch: Watch, *, what: str = "sweeping") -> Swept:
    """Perform what is missing; a run that fails is told, noted and passed by.

    Raises:
        SettingsError: The folder holds runs of another scenario.
    """
    missing = folder.begin(scenario)
    total, failed = len(scenario.cells), list[tuple[Cell, Failed]]()
    watch.begin(what, total - len(missing), total)
    for cell, outcome in workers.run(missing):
        if isinstance(outcome, Failed):
            failed.append((cell, outcome))
            folder.note(cell, outcome)
            watch.say(f"run {cell.name} failed ({describe(cell, scenario)}): {outcome.reason}")
        else:
            folder.write(cell, outcome)
        watch.advance(1)
    folder.finish(scenario, [cell for cell, _ in failed])
    return Swept(
        runs=total,
        before=total - len(missing),
        failed={cell.name: outcome.reason for cell, outcome in failed},
    )


def describe(cell: Cell, scenario: Scenario) -> str:
    """What tells it from the others: `link.trace=lte.up, seed=2`."""
    return ", ".join(f"{key}={cell.axes[key]}" for key in scenario.varied) or "the only one"
