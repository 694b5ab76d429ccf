"""Which requests share the next model call: pure arithmetic, with no thread, no timer and no clock of its own.

    add ─► a bounded queue, oldest first ─► take(now) ─► batch: the group of the oldest job, in order, up to max_batch
                                                    └──► late:  jobs that cannot be answered in time any more

There is no timer: what is queued when the model becomes idle is the next batch. Waiting for company would cost every
lonely request the wait, and on a CPU a batch gains at most a fifth.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from offramp.errors import OverloadedError
from offramp.units import Bytes, Seconds, format_bytes

T = TypeVar("T")

Estimate = Callable[[Hashable, int], Seconds]
"""Seconds that a batch of this group and size takes; 0 where nobody knows yet."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job(Generic[T]):
    """One request that waits for the model."""

    group: Hashable
    """Only jobs of one group share a model call: the same bundle, the same split."""
    owner: object
    """Who gets the answer: all jobs of an owner can be removed together."""
    deadline: Seconds
    """On the clock of `now`; infinite when the request states no budget."""
    nbytes: Bytes
    """What it keeps in memory while it waits."""
    work: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(Generic[T]):
    """What left the queue: every job exactly once, in one of the two."""

    batch: tuple[Job[T], ...]
    late: tuple[Job[T], ...]


class Batcher(Generic[T]):
    """A queue of jobs, bounded in number and in bytes."""

    def __init__(self, *, capacity: int, max_bytes: Bytes, max_batch: int, estimate: Estimate) -> None:
        self._queue: deque[Job[T]] = deque()
        self._nbytes = 0
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._max_batch = max_batch
        self._estimate = estimate

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, job: Job[T]) -> None:
        """Queue a job.

        Raises:
            OverloadedError: The queue is full.
        """
        if len(self._queue) >= self._capacity:
            raise OverloadedError(f"the edge's queue is full ({self._capacity} requests); ask later, or another edge")
        if self._queue and self._nbytes + job.nbytes > self._max_bytes:
            limit = format_bytes(self._max_bytes)
            raise OverloadedError(f"the edge's queue is full ({limit} of payloads); ask later, or another edge")
        self._queue.append(job)
        self._nbytes += job.nbytes

    def take(self, now: Seconds) -> Taken[T]:
        """The next batch, and the jobs anywhere in the queue whose budget has passed or cannot be met.

        A batch grows only as far as the tightest deadline in it allows. It is empty when nothing waits.
        """
        late: list[Job[T]] = []
        batch: list[Job[T]] = []
        rest: deque[Job[T]] = deque()
        tightest, full = Seconds(math.inf), False
        for job in self._queue:
            if now + self._estimate(job.group, 1) > job.deadline:
                late.append(job)
            elif full or (batch and job.group != batch[0].group):
                rest.append(job)
            else:
                tightest_with = min(tightest, job.deadline)
                if batch and now + self._estimate(job.group, len(batch) + 1) > tightest_with:
                    # Nor may a later job of the group overtake this one.
                    full = True
                    rest.append(job)
                    continue
                tightest = tightest_with
                batch.append(job)
                full = len(batch) >= self._max_batch
        self._keep(rest)
        return Taken(batch=tuple(batch), late=tuple(late))

    def remove(self, owner: object) -> tuple[Job[T], ...]:
        """Forget the jobs of an owner who has left; returns them."""
        removed = tuple(job for job in self._queue if job.owner is owner)
        self._keep(deque(job for job in self._queue if job.owner is not owner))
        return removed

    def _keep(self, rest: deque[Job[T]]) -> None:
        self._queue = rest
        self._nbytes = sum(job.nbytes for job in rest)
