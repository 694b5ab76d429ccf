"""Simulated time: a heap of events, and workers that sleep in it.

    worker ── sleep(cost) ──► heap ──► the next event, whosever it is ──► … ──► worker goes on

A worker is a greenlet, so that deployed code which takes time (a segment that runs, a codec that encodes) simply takes
it: the call returns once simulated time has passed, and everything that is due meanwhile happens meanwhile.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from greenlet import greenlet

from offramp.units import Seconds


class Hub:
    """One simulation's clock and agenda. Follows `offramp.clock.Clock`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = count()  # events of one moment happen in the order in which they were planned
        self._main: greenlet | None = None

    def now(self) -> Seconds:
        return Seconds(self._now)

    def at(self, time: float, call: Callable[[], Any]) -> None:
        """Plan a call; in the past means now. It must not sleep: what sleeps is a worker."""
        heappush(self._agenda, (time if time > self._now else self._now, next(self._order), call))

    def sleep(self, duration: Seconds) -> None:
        """Let simulated time pass for the worker that calls."""
        if duration <= 0:
            return
        until = self._now + duration
        if not self._agenda or self._agenda[0][0] > until:
            self._now = until  # nothing is due before: two switches less
            return
        self.at(until, greenlet.getcurrent().switch)
        self.wait()

    def wait(self) -> None:
        """Stop the worker that calls until somebody calls what `waker` gave it."""
        assert self._main is not None  # workers run inside `run`
        self._main.switch()

    @staticmethod
    def waker() -> Callable[[], Any]:
        """What makes the worker that calls go on from `wait`; call it from an event, not from a worker."""
        wake: Callable[[], Any] = greenlet.getcurrent().switch
        return wake

    def work(self, task: Callable[[], None]) -> None:
        """Start a worker now."""
        self.at(self._now, greenlet(task).switch)

    def run(self) -> None:
        """Until nothing is planned any more."""
        self._main = greenlet.getcurrent()
        while self._agenda:
            self._now, _, call = heappop(self._agenda)
            call()
