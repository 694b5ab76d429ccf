"""A link on paper: first in first out, a rate, a round trip, jitter with a long tail, an edge that takes its time."""

import random
from collections import deque

from offramp.measure.link import LinkEstimator
from offramp.units import Seconds

GAP = 0.1
"""Between two offloads: ten frames a second."""
EDGE = (0.002, 0.006)
"""Seconds at the edge, evenly spread."""


class SimulatedLink:
    """Carries what is offloaded, and tells an estimator of it as a session would."""

    def __init__(self, rate: float, round_trip: float, jitter: float, seed: int = 0) -> None:
        self.rate, self.round_trip, self.jitter = rate, round_trip, jitter
        self.now = 0.0
        self.estimator = LinkEstimator()
        self._random = random.Random(seed)
        self._free_at = 0.0
        self._numbers = 0
        self._coming: deque[tuple[float, int, float]] = deque()

    def offload(self, nbytes: int) -> None:
        """One gap later; what was answered meanwhile is heard first."""
        self.now += GAP
        self._hear(self.now)
        self._numbers += 1
        self.estimator.sent(self._numbers, nbytes, Seconds(self.now))
        edge = self._random.uniform(*EDGE)
        self._free_at = max(self._free_at, self.now) + 8 * nbytes / self.rate
        answered = self._free_at + self.round_trip + edge + self._random.expovariate(1 / self.jitter)
        self._coming.append((answered, self._numbers, edge))

    def offload_some(self, count: int, low: int, high: int) -> None:
        """Payloads of so many bytes, evenly spread."""
        for _ in range(count):
            self.offload(self._random.randint(low, high))

    def settle(self) -> None:
        """Wait for every answer."""
        self.now = max([self.now, *(moment for moment, _, _ in self._coming)])
        self._hear(self.now)

    def takes(self, nbytes: int) -> float:
        """Seconds from an idle link's send to the answer, on average, without the edge."""
        return self.round_trip + self.jitter + 8 * nbytes / self.rate

    def _hear(self, now: float) -> None:
        for answer in sorted(answer for answer in self._coming if answer[0] <= now):
            moment, number, edge = answer
            self._coming.remove(answer)
            self.estimator.answered(number, Seconds(edge), Seconds(moment))
