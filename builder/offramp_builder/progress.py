"""What a person sees while a bundle is built: on standard error, so that standard output stays clean."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY = 0.5  # epochs between two lines where there is no terminal to draw on


class Screen:
    """One line with a bar that moves, or plain lines where standard error is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._live = sys.stderr.isatty() and not quiet
        self._bar = Progress(
            TextColumn("{task.description:24}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._printed = self._first = 0.0
        self._started = time.monotonic()

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
            self._console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that nobody should miss; it is said even when quiet."""
        self._console.print(f"warning: {text}", style="bold yellow", markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a step is."""
        if what != self._what and not self._live:
            self.say(f"{what} …")
        self._show(what, done, total)

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        """How far the training is (a `Watch`)."""
        if self._what != "training":
            self._first = self._printed = epoch  # where a resumed training begins, or the next one
        note = f"epoch {epoch:.1f}/{epochs}  loss {loss:.3f}  accuracy {accuracy:.1%}"
        if not self._live and (epoch - self._printed >= _EVERY or epoch >= epochs):
            self._printed = epoch
            self.say(f"training: {note}{self._left(epoch, epochs)}")
        self._show("training", round(1000 * epoch), 1000 * epochs, note)

    def _left(self, epoch: float, epochs: int) -> str:
        if epoch <= self._first or epoch >= epochs:
            return ""
        pace = (time.monotonic() - self._started) / (epoch - self._first)
        return f"  about {pace * (epochs - epoch):.0f} s left"

    def _show(self, what: str, done: int, total: int, note: str = "") -> None:
        if what != self._what:
            self._what = what
            self._started = time.monotonic()
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total, note=note)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, note=note)
