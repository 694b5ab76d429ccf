"""One run in numbers.

# N samples
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.metrics.classification import accuracy, calibration_error, correct, macro_f1
from offramp_evaluation.metrics.intervals import Interval, bootstrap, share
from offramp_evaluation.metrics.outcomes import Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds; NaN without a sample. Quantiles interpolate between neighbours, as numpy does."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Shares are of all samples that entered; times and confidences of those that were answered."""

    samples: int
    streams: int
    accuracy: float
    """A rejected sample counts as wrong."""
    accuracy_interval: Interval
    """Streams are the independent units."""
    accuracy_answered: float
    """Among the samples that got an answer."""
    macro_f1: float
    calibration_error: float
    latency: Latency
    latency_interval: Interval
    """Of the mean; bootstrap over streams."""
    deadline_hits: float
    """Share answered, by whomever, within the deadline."""
    throughput: float
    """Answers per second of the run."""
    answered: Mapping[str, float]
    """Share by who answered: device, edge, degraded, rejected."""
    exits: Mapping[int, float]
    """Share by the cut where the answer was read."""
    payload_bytes: float
    """Mean over all samples, those that sent nothing included."""
    wire_bytes: float
    wire_bytes_total: int


def summarise(outcomes: Outcomes, *, deadline: Seconds, duration: Seconds) -> Summary:
    """The numbers of one run that took `duration` seconds, over all its samples."""
    there_N = ~outcomes.where(Answered.REJECTED)
    answered = outcomes.take(there_N)
    right_N = correct(outcomes.label_N, outcomes.truth_N)
    known_N = ~np.isnan(right_N)
    return Summary(
        samples=len(outcomes),
        streams=len(np.unique(outcomes.stream_N)),
        accuracy=accuracy(outcomes.label_N, outcomes.truth_N),
        accuracy_interval=share(right_N[known_N], outcomes.stream_N[known_N]),
        accuracy_answered=accuracy(answered.label_N, answered.truth_N),
        macro_f1=macro_f1(outcomes.label_N, outcomes.truth_N),
        calibration_error=calibration_error(answered.confidence_N, correct(answered.label_N, answered.truth_N)),
        latency=describe_latency(answered.latency_N),
        latency_interval=bootstrap(answered.latency_N, answered.stream_N),
        deadline_hits=deadline_hits(outcomes, deadline),
        throughput=len(answered) / duration if duration > 0 else math.nan,
        answered={kind.value: _share(outcomes.where(kind)) for kind in Answered},
        exits={int(cut): _share(outcomes.exit_N == cut) for cut in np.unique(answered.exit_N)},
        payload_bytes=_mean(outcomes.payload_N),
        wire_bytes=_mean(outcomes.wire_N),
        wire_bytes_total=int(outcomes.wire_N.sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSummary:
    """One of several devices."""

    samples: int
    accuracy: float
    latency: Latency
    deadline_hits: float
    answered: Mapping[str, float]
    wire_bytes: float


def summarise_device(outcomes: Outcomes, deadline: Seconds) -> DeviceSummary:
    """The numbers that tell devices apart, without intervals: a device is one stream, which is one unit."""
    return DeviceSummary(
        samples=len(outcomes),
        accuracy=accuracy(outcomes.label_N, outcomes.truth_N),
        latency=describe_latency(outcomes.latency_N[~outcomes.where(Answered.REJECTED)]),
        deadline_hits=deadline_hits(outcomes, deadline),
        answered={kind.value: _share(outcomes.where(kind)) for kind in Answered},
        wire_bytes=_mean(outcomes.wire_N),
    )


def describe_latency(latency: ArrayLike) -> Latency:
    latency_N = np.asarray(latency, np.float64)
    if len(latency_N) == 0:
        return Latency(mean=math.nan, p50=math.nan, p95=math.nan, p99=math.nan, max=math.nan)
    p50, p95, p99 = (float(value) for value in np.quantile(latency_N, [0.5, 0.95, 0.99]))
    return Latency(mean=float(latency_N.mean()), p50=p50, p95=p95, p99=p99, max=float(latency_N.max()))


def deadline_hits(outcomes: Outcomes, deadline: Seconds) -> float:
    """Share of all samples that were answered (degraded answers too) within the deadline; NaN without a sample."""
    return _share(~outcomes.where(Answered.REJECTED) & (outcomes.latency_N <= deadline))


def _share(mask_N: NDArray[np.bool_]) -> float:
    return float(mask_N.mean()) if len(mask_N) else math.nan


def _mean(values_N: NDArray[np.int64]) -> float:
    return float(values_N.mean()) if len(values_N) else math.nan
