"""What is seen while the runs last: a live table on a terminal, a line now and then elsewhere."""

from collections.abc import Sequence
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
from offramp.units import format_rate, format_seconds
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.tally import Outcome, summarise

WIDTH = 98


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


class SilentScreen:
    """For whoever wants the runs alone."""

    def __enter__(self) -> "SilentScreen":
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None: ...

    def begin(self, run: Run, number: int, count: int) -> None: ...

    def update(self) -> None: ...


class PlainScreen:
    """For logs: a line for each phase of each run, and for each plan that the orchestrator sent."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._run: Run | None = None
        self._phase = -1
        self._told = 0

    def __enter__(self) -> "PlainScreen":
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def begin(self, run: Run, number: int, count: int) -> None:
        self._run, self._phase, self._told = run, -1, 0
        self.say(f"run {number} of {count}: {run.contender.name}: {run.contender.about}")

    def update(self) -> None:
        run = self._run
        if run is None:
            return
        if run.phase != self._phase:
            self._phase = run.phase
            self.say(f"  {run.script.phases[self._phase].link.describe():36} {run.plan}")
        for change in run.changes[self._told :]:
            expected = "" if change.predicted is None else f", {format_seconds(change.predicted)} expected"
            self.say(f"  {'':4}ordered at {change.at:5.1f} s: {change.plan}{expected}")
        self._told = len(run.changes)


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
        run.plan,
    )
    if run.contender.adapts:
        now.append_text(_beliefs(run))
    # Padding ends the line, which a bar alone does not.
    bar = Padding(ProgressBar(total=run.script.frames, completed=len(run.outcomes), width=width - 6), (1, 0))
    inner = Group(Text(run.contender.about, style="italic"), now, bar, _phases(run), Text(), _answers(run, labels))
    return Panel(inner, title=title, title_align="left", width=width)


def _beliefs(run: Run) -> Text:
    """What the device measures, and what the plan was chosen for."""
    believed, predicted = run.believed, run.predicted
    link = round_trip = measured = "–"
    if believed is not None:
        link = link if believed.bandwidth is None else format_rate(believed.bandwidth)
        round_trip = round_trip if believed.round_trip is None else format_seconds(believed.round_trip)
        measured = measured if believed.measured is None else format_seconds(believed.measured)
        predicted = believed.predicted or predicted
    expected = "–" if predicted is None else format_seconds(predicted)
    return Text.assemble(
        ("\nbelieved  ", "dim"),
        f"{link}, round trip {round_trip}",
        ("    predicted  ", "dim"),
        expected,
        ("    measured  ", "dim"),
        measured,
    )


def _one_line(run: Run) -> str:
    """What a run came to: shown below the runs that follow."""
    summary = summarise(run.outcomes)
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
