"""What a trace is like, in a few numbers; all weighted by time, so that they do not depend on how it is cut up."""

from dataclasses import dataclass

import numpy as np

from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.traces.trace import Floats, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatistics:
    """Rates are those of the link, lost packets included; `outage` is the share of time in which nothing arrives."""

    duration: Seconds
    pieces: int
    mean: BitsPerSecond
    median: BitsPerSecond
    p5: BitsPerSecond
    p95: BitsPerSecond
    variation: float
    """Coefficient of variation: standard deviation / mean; 0 where the mean is."""
    outage: float
    longest_outage: Seconds
    delay: Seconds
    """Mean, one way."""
    loss: float


def describe(trace: Trace) -> TraceStatistics:
    """Statistics of one pass through the trace."""
    weight_T = trace.lengths / trace.duration
    mean = float(weight_T @ trace.rate_T)
    deviation = float(np.sqrt(weight_T @ (trace.rate_T - mean) ** 2))
    median, p5, p95 = (BitsPerSecond(weighted_quantile(trace.rate_T, weight_T, share)) for share in (0.5, 0.05, 0.95))
    return TraceStatistics(
        duration=trace.duration,
        pieces=len(trace),
        mean=BitsPerSecond(mean),
        median=median,
        p5=p5,
        p95=p95,
        variation=deviation / mean if mean > 0 else 0.0,
        outage=float(weight_T @ ~trace.up),
        longest_outage=_longest_outage(trace),
        delay=Seconds(float(weight_T @ trace.delay_T)),
        loss=float(weight_T @ trace.loss_T),
    )


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """The smallest value below or at which at least `share` of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    # A hair less than the share: rounding must not move the median of two equal halves to the upper one.
    index = int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12)))
    return float(values[order[min(index, len(values) - 1)]])


def _longest_outage(trace: Trace) -> Seconds:
    """Neighbouring pieces count as one; an outage that runs over the end of a repeating trace is not joined."""
    ends_T = np.cumsum(np.where(trace.up, 0.0, trace.lengths))
    before_T = np.maximum.accumulate(np.where(trace.up, ends_T, 0.0))
    return Seconds(float(np.max(ends_T - before_T)))
