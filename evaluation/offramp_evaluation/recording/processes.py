"""Workers as processes of this machine: one thread each, told through a pipe, ended when they are no longer needed.

this process ── Task ──► worker        one pipe each; when this process dies, its end closes and they stop
             ◄── Advanced, Done, Failed ──
"""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self

from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import OfframpError
from offramp_evaluation.children import Child, end
from offramp_evaluation.plugins import load_plugins, loaded
from offramp_evaluation.recording.workers import Advanced, Bench, Done, Task


class Processes:
    """Spawned, not forked: ONNX Runtime's threads do not survive a fork."""

    def __init__(self, bundle: Bundle, count: int) -> None:
        self._bundle = bundle
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        for _ in range(self._count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._bundle.path, loaded()), daemon=True)
            process.start()
            theirs.close()  # or the end of the worker would never be seen
            self._workers.append(_Worker(process, ours))
        return self

    def __exit__(self, *_: object) -> None:
        end(self._workers)
        self._workers.clear()

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        waiting, idle = iter(tasks), list(self._workers)
        busy: dict[Connection, _Worker] = {}
        while True:
            while idle and (task := next(waiting, None)) is not None:
                worker = idle.pop()
                worker.send(task)
                busy[worker.connection] = worker
            if not busy:
                return
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                message = busy[ready].receive()
                if isinstance(message, Done):
                    idle.append(busy.pop(ready))
                yield message


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str


class _Worker(Child):
    __slots__ = ()

    def send(self, task: Task) -> None:
        try:
            self.connection.send(task)
        except OSError as error:
            raise self._died() from error

    def receive(self) -> Advanced | Done:
        try:
            message: Advanced | Done | _Failed = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if isinstance(message, _Failed):
            raise OfframpError(message.reason)
        return message

    def _died(self) -> OfframpError:
        return OfframpError(
            f"a recording process died ({self.death()}); run the same command again to go on, with fewer --jobs"
        )


def _serve(connection: Connection, path: Path, plugins: tuple[str, ...]) -> None:
    """A worker's life: open the bundle, then one task after the other."""
    from offramp.runtime.threads import configure_threads

    # Ctrl-C reaches the whole group; the process that started us decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        load_plugins(plugins)
        configure_threads(1)
        bench = Bench(open_bundle(path, check=False))  # whoever started us has checked it
        while True:
            for message in bench.work(connection.recv()):
                connection.send(message)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more
    except Exception as error:
        connection.send(
            _Failed(f"{type(error).__name__}: {error}" if not isinstance(error, OfframpError) else str(error))
        )
