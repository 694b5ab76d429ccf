"""What waits for the stages: samples from the source, flights that came back without an answer, and what has time.

source ── offer / put ──► [ at most 8 samples ] ─┐
uplink ── give_back ────► [ flights ] ───────────┼─ take ──► stages       flights first: their time is shorter
          when_idle ────► [ spare work ] ────────┘                        spare work when nothing else has arrived
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from offramp.records import Sample
from offramp_device.flight import Flight

Draw = Callable[[], Sample]
"""Makes the sample when it is taken: one that waits for nobody arrives when somebody has time for it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A flight that needs stages on the device, and why."""

    flight: Flight
    reason: str


@dataclass(frozen=True, slots=True)
class Spare:
    """Work that no sample waits for."""

    work: Callable[[], None]


class Intake:
    """Between one or more sources and the thread of the stages. Safe from any thread."""

    def __init__(self, capacity: int, window: int) -> None:
        self.capacity = capacity
        self._window = window
        self._changed = threading.Condition()
        self._offered: deque[Sample] = deque()
        self._drawn: deque[Draw] = deque()
        self._returned: deque[Returned] = deque()
        self._spare: deque[Spare] = deque()
        self._away = 0
        self._finished = self._closed = False

    @property
    def finished(self) -> bool:
        """Nothing is taken in any more."""
        return self._finished

    def offer(self, sample: Sample) -> bool:
        """An arrival that waits for nobody; False when the queue is full, or nothing is taken in any more."""
        with self._changed:
            if self._finished or len(self._offered) + len(self._drawn) >= self.capacity:
                return False
            self._offered.append(sample)
            self._changed.notify_all()
            return True

    def put(self, draw: Draw) -> bool:
        """One of a source that can wait: returns when there is room; False when it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._offered) + len(self._drawn) < self.capacity)
            if self._closed:
                return False
            self._drawn.append(draw)
            self._changed.notify_all()
            return True

    def give_back(self, flight: Flight, reason: str) -> None:
        """The uplink has no answer, and the device has none ready; it is still away until `landed`."""
        with self._changed:
            self._returned.append(Returned(flight, reason))
            self._changed.notify_all()

    def when_idle(self, work: Callable[[], None]) -> None:
        """Work for the thread of the stages when no sample waits; dropped when the device stops before."""
        with self._changed:
            self._spare.append(Spare(work))
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Samples that wait for their first stage."""
        return len(self._offered) + len(self._drawn)

    def departed(self) -> None:
        """A flight is handed to the uplink."""
        with self._changed:
            self._away += 1

    def landed(self) -> None:
        """It has its Result."""
        with self._changed:
            self._away -= 1
            self._changed.notify_all()

    def take(self) -> Sample | Draw | Returned | Spare | None:
        """The next to work on, waiting for it; None when nothing will come any more.

        A source that can wait waits until fewer than `window` flights are away, and for spare work; arrivals never do.
        """
        with self._changed:
            while True:
                if self._returned:
                    return self._returned.popleft()
                if self._offered:
                    self._changed.notify_all()
                    return self._offered.popleft()
                if self._spare and not self._finished:
                    return self._spare.popleft()
                if self._drawn and self._away < self._window:
                    self._changed.notify_all()
                    return self._drawn.popleft()
                if self._finished and not (self._away or self._drawn):  # nothing offered either, see above
                    return None
                self._changed.wait()

    def finish(self) -> None:
        """Take nothing more in; what waits is still worked on."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> list[Sample]:
        """Take nothing more in, and return the arrivals that still waited. What was not drawn yet never arrived."""
        with self._changed:
            self._closed = self._finished = True
            waiting = list(self._offered)
            self._offered.clear()
            self._drawn.clear()
            self._changed.notify_all()
            return waiting
