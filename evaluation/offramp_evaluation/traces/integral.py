"""How many bytes a trace lets through, and when: its integral and the inverse of it.

    bytes │            ╱      until(t)      bytes through by time t, from a sender that always has some
          │   ┌──────╱        finish(t, B)  when the last of B bytes is through that starts at t
          │ ╱  outage         queue(…)      the same for many payloads, one after the other
          └──────────────► t

All are exact for pieces of constant rate: no time step anywhere. Loss counts as retransmission (`Trace.goodput`);
delay is not in here: it is added to whatever arrives.

# N payloads, T pieces
"""

import math
from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import ArrayLike

from offramp_evaluation.traces.trace import After, Floats, Trace

SLACK, SLACK_SHARE = 1e-6, 1e-12
"""Bytes, and share of all bytes so far, that rounding may lack: without it, a payload that ends exactly where an
outage begins could end after it. They choose the piece only; the time within it is exact."""


class Integral:
    """The bytes that one trace lets through, ready to be asked many times."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._edges = trace.edges
        self._speed = np.append(trace.goodput, trace.goodput[-1]) / 8.0  # bytes per second; the last one holds
        self._total = np.append(0.0, np.cumsum(trace.goodput / 8.0 * trace.lengths))
        self._repeats = trace.after is After.REPEAT
        self._period = float(trace.duration)
        self._per_period = float(self._total[-1])
        # Plain lists for one-by-one questions: numpy costs 20 µs a call where bisect costs 1.
        self._lists = (self._edges.tolist(), self._speed.tolist(), self._total.tolist())

    def until(self, time: ArrayLike) -> Floats:
        """Bytes through between 0 and each time."""
        periods, local = self._divide(np.maximum(np.asarray(time, np.float64), 0.0))
        return periods * self._per_period + self._local_level(local)

    def between(self, start: ArrayLike, stop: ArrayLike) -> Floats:
        """Bytes through between two times; 0 where stop does not lie after start."""
        return np.maximum(self.until(stop) - self.until(start), 0.0)

    def finish(self, start: ArrayLike, nbytes: ArrayLike) -> Floats:
        """When the last of `nbytes` is through, for each start, on an idle link; infinite when never."""
        start_N, nbytes_N = np.broadcast_arrays(np.asarray(start, np.float64), np.asarray(nbytes, np.float64))
        periods, local = self._divide(np.maximum(start_N, 0.0))
        done = periods * self._period + self._when(self._local_level(local) + nbytes_N)
        return np.where(nbytes_N > 0, np.maximum(done, start_N), start_N)

    def finish_one(self, start: float, nbytes: float) -> float:
        """`finish` for a single payload, twenty times faster: for event simulations."""
        if nbytes <= 0:
            return start
        edges, speed, total = self._lists
        periods, local = divmod(max(start, 0.0), self._period) if self._repeats else (0.0, max(start, 0.0))
        index = bisect_right(edges, local) - 1
        level = total[index] + speed[index] * (local - edges[index]) + nbytes
        if self._repeats:
            if self._per_period <= 0:
                return math.inf
            more = max(math.ceil((level - SLACK) / self._per_period) - 1, 0)
            periods, level = periods + more, level - more * self._per_period
        index = max(bisect_left(total, level - SLACK) - 1, 0)
        if speed[index] <= 0:
            return math.inf
        end = edges[index + 1] if index + 1 < len(edges) else math.inf
        done: float = periods * self._period + min(edges[index] + (level - total[index]) / speed[index], end)
        return max(done, start)

    def queue(self, ready: ArrayLike, nbytes: ArrayLike) -> Floats:
        """[N] when each payload is through that joins, at its `ready` time, a first-in first-out queue before the link.

        `ready_N` must not fall. In units of bytes the link is a server of constant speed, so the waiting line is a
        running maximum (Lindley's recursion), with no loop over payloads.

        Raises:
            ValueError: The ready times are not in order.
        """
        ready_N, nbytes_N = np.asarray(ready, np.float64), np.asarray(nbytes, np.float64)
        if np.any(np.diff(ready_N) < 0):
            raise ValueError("payloads join a queue in order; sort them by the time at which they are ready")
        if len(ready_N) == 0:
            return np.zeros(0)
        sent_N = np.cumsum(nbytes_N)
        backlog_N = np.maximum.accumulate(self.until(ready_N) - (sent_N - nbytes_N))
        done_N = self._when(backlog_N + sent_N)
        # A payload of no bytes is through when it is ready and all before it are.
        return np.maximum.accumulate(np.maximum(np.where(nbytes_N > 0, done_N, ready_N), ready_N))

    def _divide(self, time: Floats) -> tuple[Floats, Floats]:
        """Whole periods before each time, and the time within the period."""
        if not self._repeats:
            return np.zeros_like(time), time
        periods, local = np.divmod(time, self._period)
        return periods, local

    def _local_level(self, local: Floats) -> Floats:
        index = np.searchsorted(self._edges, local, side="right") - 1
        level: Floats = self._total[index] + self._speed[index] * (local - self._edges[index])
        return level

    def _when(self, level: Floats) -> Floats:
        """The first time at which so many bytes are through; infinite when never."""
        slack = SLACK + SLACK_SHARE * level
        shift: Floats = np.zeros_like(level)
        if self._repeats:
            if self._per_period <= 0:
                return np.where(level > slack, np.inf, 0.0)
            periods = np.maximum(np.ceil((level - slack) / self._per_period) - 1, 0)
            shift, level = periods * self._period, level - periods * self._per_period
        index = np.maximum(np.searchsorted(self._total, level - slack, side="left") - 1, 0)
        speed, end = self._speed[index], np.append(self._edges[1:], np.inf)[index]
        with np.errstate(divide="ignore", invalid="ignore"):
            time = np.where(speed > 0, self._edges[index] + (level - self._total[index]) / speed, np.inf)
        return shift + np.where(speed > 0, np.minimum(time, end), np.inf)
