"""Who performs the runs of a sweep: this process, several of this machine, or (in `actors`) a Ray cluster.

this process ── Cell ──► worker        one pipe each; when this process dies, its end closes and they stop
             ◄── Outcome ──            a worker that dies takes one run with it, which has failed; then another starts

Workers keep nothing on disk: whoever hands out cells writes down what became of them.
"""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Protocol, Self

from offramp_evaluation.children import Child, end
from offramp_evaluation.plugins import load_plugins, loaded
from offramp_evaluation.sweep.cell import Cell
from offramp_evaluation.sweep.run import Bench, Failed, Outcome


class Workers(Protocol):
    """Perform cells; a context manager, which ends them."""

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        """In any order."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Performer(Protocol):
    """Performs one run: `Bench` replays it."""

    def perform(self, cell: Cell) -> Outcome: ...


class Here:
    """In the process that asks, one run after the other."""

    def __init__(self, bench: Performer | None = None) -> None:
        self._bench = Bench() if bench is None else bench

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        for cell in cells:
            yield cell, self._bench.perform(cell)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Processes:
    """Spawned when they are first needed, at most so many."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._workers)
        self._workers.clear()

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        waiting, idle = iter(cells), list(self._workers)
        busy: dict[Connection, tuple[Child, Cell]] = {}
        while True:
            while len(busy) < self._count and (cell := next(waiting, None)) is not None:
                worker = idle.pop() if idle else self._start()
                worker.connection.send(cell)
                busy[worker.connection] = worker, cell
            if not busy:
                return
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker, cell = busy.pop(ready)
                try:
                    outcome: Outcome = ready.recv()
                except (EOFError, OSError):
                    yield cell, self._bury(worker)
                else:
                    idle.append(worker)
                    yield cell, outcome

    def _start(self) -> Child:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, loaded()), daemon=True)
        # Ctrl-C reaches the whole group, and the worker too while it still imports: it is born with the signal blocked,
        # and this process decides.
        resource_tracker.ensure_running()  # whoever starts it first has the signal unblocked by it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # or the end of the worker would never be seen
        self._workers.append(Child(process, ours))
        return self._workers[-1]

    def _bury(self, worker: Child) -> Failed:
        why = worker.death()
        worker.connection.close()
        self._workers.remove(worker)
        return Failed(reason=f"its process died ({why}); run the same command again, with fewer --jobs")


def _serve(connection: Connection, plugins: tuple[str, ...]) -> None:
    """A worker's life: one cell after the other."""
    load_plugins(plugins)
    bench = Bench()
    try:
        while True:
            connection.send(bench.perform(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more
