"""Trace to trace: resample, scale, cut, repeat, concatenate."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from offramp.errors import DataError
from offramp.units import Seconds
from offramp_evaluation.traces.trace import Floats, Trace


def resample(trace: Trace, bin: Seconds) -> Trace:  # noqa: A002 - the word for it
    """The same trace in equal bins: each carries as many bytes, and loses as many, as the pieces in it did.

    Delay is the mean over time. A remainder shorter than half a bin joins the bin before it.

    Raises:
        DataError: The bin is not positive.
    """
    edges = bins(trace.duration, bin)
    mean_rate = _means(trace, trace.rate_T, edges)
    mean_good = _means(trace, trace.goodput, edges)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.where(mean_rate > 0, 1.0 - mean_good / mean_rate, _means(trace, trace.loss_T, edges))
    return replace(
        trace,
        time_T=edges[:-1],
        rate_T=mean_rate,
        delay_T=_means(trace, trace.delay_T, edges),
        loss_T=np.clip(loss, 0.0, 1.0),
    )


def scale(trace: Trace, *, rate: float = 1.0, time: float = 1.0, delay: float = 1.0) -> Trace:
    """Rates, times and delays, each times a factor: `time=0.5` plays the trace twice as fast.

    Raises:
        DataError: A factor is negative, or the one for time is 0.
    """
    if rate < 0 or delay < 0 or time <= 0:
        raise DataError(f"scale factors are positive; got rate {rate}, time {time}, delay {delay}")
    return replace(
        trace,
        time_T=trace.time_T * time,
        rate_T=trace.rate_T * rate,
        delay_T=trace.delay_T * delay,
        duration=Seconds(trace.duration * time),
    )


def cut(trace: Trace, start: Seconds = Seconds(0.0), stop: Seconds | None = None) -> Trace:
    """What lies between two times, shifted so that it starts at 0; without `stop`, up to the end.

    Raises:
        DataError: The times do not lie, in this order, within the trace.
    """
    end = trace.duration if stop is None else stop
    if not 0 <= start < end <= trace.duration:
        raise DataError(
            f"{start} s to {end} s does not lie within {trace.name!r} ({trace.duration} s); repeat it first to go past"
        )
    first = int(np.searchsorted(trace.time_T, start, side="right")) - 1
    last = int(np.searchsorted(trace.time_T, end, side="left"))
    kept = slice(first, last)
    return replace(
        trace,
        time_T=np.maximum(trace.time_T[kept] - start, 0.0),
        rate_T=trace.rate_T[kept],
        delay_T=trace.delay_T[kept],
        loss_T=trace.loss_T[kept],
        duration=Seconds(end - start),
    )


def repeat(trace: Trace, times: int) -> Trace:
    """The same trace `times` times in a row.

    Raises:
        DataError: Less than once.
    """
    if times < 1:
        raise DataError(f"a trace can be repeated once or more, not {times} times")
    return concatenate([trace] * times)


def concatenate(traces: Sequence[Trace]) -> Trace:
    """One trace after the other, named after the first; the end is handled as the last one says.

    Raises:
        DataError: There is none.
    """
    if not traces:
        raise DataError("there is no trace to concatenate; give at least one")
    starts = np.cumsum([0.0, *(trace.duration for trace in traces)])
    return Trace(
        name=traces[0].name,
        time_T=np.concatenate([trace.time_T + start for trace, start in zip(traces, starts, strict=False)]),
        rate_T=np.concatenate([trace.rate_T for trace in traces]),
        delay_T=np.concatenate([trace.delay_T for trace in traces]),
        loss_T=np.concatenate([trace.loss_T for trace in traces]),
        duration=Seconds(starts[-1]),
        after=traces[-1].after,
    )


def bins(duration: float, bin: float) -> Floats:  # noqa: A002 - the word for it
    """Edges of equal bins over a duration; the last bin is half to one and a half times as long as the others."""
    if not bin > 0:
        raise DataError(f"a bin of {bin} s is not positive; 0.1 s is usual")
    count = max(1, round(duration / bin))
    return np.append(np.arange(count) * bin, duration)


def _means(trace: Trace, values_T: Floats, edges: Floats) -> Floats:
    """The mean over time of a piecewise constant quantity, between neighbouring edges."""
    total = np.append(0.0, np.cumsum(values_T * trace.lengths))
    means: Floats = np.maximum(np.diff(np.interp(edges, trace.edges, total)) / np.diff(edges), 0.0)
    return means
