"""The thread with the event loop: where sockets live, so that the stages never wait for them.

There is one per process, however many devices are open. gRPC has a single completion queue in a process: with two
loops each event wakes both, and every second one has to be handed over.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """A share in the process's event loop, which starts with the first share and ends with the last."""

    _lock = threading.Lock()
    _shares = 0
    _shared: "_Running | None" = None

    def __init__(self) -> None:
        self._running: _Running | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self._running is not None
        return self._running.loop

    def __enter__(self) -> "LoopThread":
        with LoopThread._lock:
            if LoopThread._shared is None:
                LoopThread._shared = _Running()
            LoopThread._shares += 1
            self._running = LoopThread._shared
        return self

    def __exit__(self, *_: object) -> None:
        with LoopThread._lock:
            LoopThread._shares -= 1
            last = LoopThread._shared if LoopThread._shares == 0 else None
            if last is not None:
                LoopThread._shared = None
        if last is not None:
            last.stop()

    def spawn(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine there; from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)


class _Running:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # A daemon: a program that never closes its device must still be able to end.
        self._thread = threading.Thread(target=self._run, name="offramp-sockets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(_cancel_the_rest())


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
