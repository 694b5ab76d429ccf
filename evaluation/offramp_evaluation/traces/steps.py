"""A trace as the schedule that the user-space shaper follows, and back."""

import math

import numpy as np

from offramp.errors import DataError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.shaper.link import OUTAGE, Link, Schedule
from offramp_evaluation.traces.trace import After, Trace


def to_link_steps(up: Trace, down: Trace | None = None, *, lasting: Seconds | None = None) -> Schedule:
    """The links that follow one another in a trace; `down` for the way back, where it differs.

    The shaper knows no loss: a lossy piece is as much slower as its retransmissions cost (`Trace.goodput`). The
    delay is that of `up`. Where either direction is out, the link is out.

    `lasting` says how much of it: up to there, after which the last link holds. By default that is one pass; a trace
    that holds needs no more, a trace that repeats needs to be told.

    Raises:
        DataError: `lasting` is not positive.
    """
    back = up if down is None else down
    end = max(up.duration, back.duration) if lasting is None else lasting
    if not 0 < end < math.inf:
        raise DataError(f"a schedule of {end} s cannot be; give a positive, finite time")
    starts = np.union1d(_starts(up, end), _starts(back, end))
    # In the middle of each piece, so that rounding at its edges cannot matter.
    middles = (starts + np.append(starts[1:], end)) / 2
    towards, returning, delay = (
        up.goodput[up.piece_at(middles)],
        back.goodput[back.piece_at(middles)],
        up.delay_at(middles),
    )
    steps: list[tuple[Seconds, Link]] = []
    for start, stop, out, back_rate, one_way in zip(
        starts.tolist(), [*starts[1:].tolist(), end], towards.tolist(), returning.tolist(), delay.tolist(), strict=True
    ):
        link = (
            Link(up=BitsPerSecond(out), down=BitsPerSecond(back_rate), delay=Seconds(one_way))
            if out > 0 and back_rate > 0
            else OUTAGE
        )
        if steps and steps[-1][1] == link:
            steps[-1] = (Seconds(steps[-1][0] + stop - start), link)
        else:
            steps.append((Seconds(stop - start), link))
    return Schedule(steps=(*steps[:-1], (Seconds(math.inf), steps[-1][1])))


ANY_RATE = 100e9
"""Bits per second of a link without a rate: far above what any host writes."""


def from_schedule(name: str, schedule: Schedule) -> tuple[Trace, Trace]:
    """The same link as traces, up and down; the last step holds for ever."""
    starts = [start for start, _ in schedule.changes()]
    links = [link for _, link in schedule.changes()]
    delay = [link.delay for link in links]
    up, down = (
        Trace.of(name, starts, [min(rate, ANY_RATE) for rate in rates], duration=starts[-1] + 1.0, delay=delay)
        for rates in ([link.up for link in links], [link.down for link in links])
    )
    return up, down


def _starts(trace: Trace, end: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Where pieces begin before `end`, over as many passes as it takes."""
    if trace.after is After.REPEAT and end > trace.duration:
        passes = np.arange(math.ceil(end / trace.duration)) * trace.duration
        starts = (passes[:, None] + trace.time_T[None, :]).ravel()
    else:
        starts = trace.time_T
    return np.asarray(starts[starts < end], dtype=np.float64)
