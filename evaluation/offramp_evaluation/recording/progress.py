"""How far a recording or a sweep is: a bar on a terminal, a line now and then elsewhere; on standard error."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from offramp.clock import Clock, SystemClock
from offramp.units import Seconds, format_seconds

EVERY = Seconds(10.0)
"""Between two lines where there is no terminal."""


class ProgressScreen:
    """Follows `offramp_evaluation.recording.record.Watch`, and that of sweeps."""

    def __init__(self, *, quiet: bool = False, clock: Clock | None = None, unit: str = "samples") -> None:
        self._quiet = quiet
        self._unit = unit
        self._clock = clock or SystemClock()
        self._live = sys.stderr.isatty() and not quiet
        self._bar = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True, highlight=False),
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._before = self._done = self._total = 0
        self._began = self._told = Seconds(0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        if not self._quiet:
            self._bar.console.print(text, markup=False, soft_wrap=True)

    def begin(self, what: str, done: int, total: int) -> None:
        self._what, self._before, self._done, self._total = what, done, done, total
        self._began = self._told = self._clock.now()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, completed=done, total=total)
        before = f", {done:,} of them before" if done else ""
        if not self._live:
            self.say(f"{what} {total:,} {self._unit}{before}")

    def advance(self, count: int) -> None:
        self._done += count
        if self._task is not None:
            self._bar.update(self._task, completed=self._done)
        now = self._clock.now()
        if not self._live and now - self._told >= EVERY:
            self._told = now
            self.say(f"{self._what}: {self._done:,} of {self._total:,} {self._unit}, about {self._left(now)} left")

    def _left(self, now: Seconds) -> str:
        pace = (now - self._began) / max(1, self._done - self._before)
        return format_seconds(float(round(pace * (self._total - self._done))))
