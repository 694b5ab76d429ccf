"""What is seen while the runs last: a live table on a terminal, a line now and then elsewhere."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from offramp.records import Answered
from offramp.units import format_seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, summarise

LAST = 6
"""Answers that are shown one by one."""

WIDTH = 98


@dataclass(slots=True, kw_only=True)
class Run:
    """How far one run has come."""

    contender: Contender
    script: Script
    phase: int = 0
    by_phase: dict[int, list[Outcome]] = field(default_factory=dict)
    last: deque[Outcome] = field(default_factory=lambda: deque(maxlen=LAST))
    seen: int = 0

    def add(self, outcome: Outcome) -> None:
        self.by_phase.setdefault(self.script.phase_of(outcome.index), []).append(outcome)
        self.last.append(outcome)
        self.seen += 1


class Screen(Protocol):
    """Shows; decides nothing. A context manager."""

    def __enter__(self) -> "Screen": ...
    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        """Something that happened before the first run."""
        ...

    def begin(self, run: Run, number: int, count: int) -> None: ...

    def update(self) -> None:
        """The run has changed."""
        ...


class PlainScreen:
    """For logs: a line for each phase of each run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._run: Run | None = None
        self._phase = -1

    def __enter__(self) -> "PlainScreen":
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def begin(self, run: Run, number: int, count: int) -> None:
        self._run, self._phase = run, -1
        self.say(f"run {number} of {count}: {run.contender.name}: {run.contender.about}")

    def update(self) -> None:
        if self._run is not None and self._run.phase != self._phase:
            self._phase = self._run.phase
            phase = self._run.script.phases[self._phase]
            self.say(f"  {phase.link.describe():36} {self._run.contender.plans[self._phase]}")


class LiveScreen:
    """For people: one table that moves."""

    def __init__(self, console: Console, labels: Sequence[str]) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._labels = labels
        self._width = min(console.width, WIDTH)
        self._run: Run | None = None
        self._title = ""
        self._finished = Text()

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._live.update(Text(text))

    def begin(self, run: Run, number: int, count: int) -> None:
        if self._run is not None:
            self._finished.append(_one_line(self._run))
        self._run = run
        self._title = f"run {number} of {count}: {run.contender.name}"
        self.update()

    def update(self) -> None:
        if self._run is not None:
            self._live.update(Group(_panel(self._run, self._title, self._labels, self._width), self._finished))


def _panel(run: Run, title: str, labels: Sequence[str], width: int) -> RenderableType:
    now = Text.assemble(
        ("link  ", "dim"),
        (run.script.phases[run.phase].link.describe(), "cyan bold"),
        ("\nplan  ", "dim"),
        str(run.contender.plans[run.phase]),
    )
    # Padding ends the line, which a bar alone does not.
    bar = Padding(ProgressBar(total=run.script.frames, completed=run.seen, width=width - 6), (1, 0))
    inner = Group(Text(run.contender.about, style="italic"), now, bar, _phases(run), Text(), _answers(run, labels))
    return Panel(inner, title=title, title_align="left", width=width)


def _one_line(run: Run) -> str:
    """What a run came to: shown below the runs that follow."""
    summary = summarise(outcome for outcomes in run.by_phase.values() for outcome in outcomes)
    right, mean = f"{100 * summary.accuracy:.1f} % right", "–" if isnan(summary.mean) else format_seconds(summary.mean)
    return f"  {run.contender.name:12} {right}, mean latency {mean}\n"


def _phases(run: Run) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", width=1)
    table.add_column("link", width=16)
    for head, width in (
        ("frames", 6),
        ("right", 7),
        ("mean", 9),
        ("device", 6),
        ("edge", 6),
        ("degraded", 8),
        ("rejected", 8),
    ):
        table.add_column(head, justify="right", width=width)
    for number, phase in enumerate(run.script.phases):
        here = number == run.phase
        style = "bold" if here else "" if number in run.by_phase else "dim"
        table.add_row("▶" if here else "", phase.name, *_cells(run.by_phase.get(number, [])), style=style)
    return table


def _cells(outcomes: list[Outcome]) -> list[str]:
    if not outcomes:
        return ["·"] * 7
    summary = summarise(outcomes)
    counts = [sum(one.answered is kind for one in outcomes) for kind in Answered]
    mean = "–" if isnan(summary.mean) else format_seconds(summary.mean)
    return [str(len(outcomes)), f"{100 * summary.accuracy:.1f} %", mean, *(str(count or "·") for count in counts)]


def _answers(run: Run, labels: Sequence[str]) -> Text:
    text = Text()
    for outcome in run.last:
        said = "–" if outcome.label is None else labels[outcome.label]
        text.append(f"frame {outcome.index:4}  ", style="dim")
        text.append(f"{said:>9} ", style="bold")
        text.append("✓" if outcome.right else "✗", style="green" if outcome.right else "red")
        text.append(f"  {outcome.place:9} {format_seconds(outcome.latency):>8}  {outcome.reason[:40]}\n")
    return text
