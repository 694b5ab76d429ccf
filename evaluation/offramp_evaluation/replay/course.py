"""The course of one row: when each sample came, which plan it followed, and where its time went.

A record holds no samples, but what can be drawn of them:

    views     quantiles of the latency, mean seconds of each step, and the time line
    link      the bandwidth over the same bins of time

# N samples, S steps, B bins of time, P plans
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.records import Answered, Result
from offramp_evaluation.metrics.outcomes import Outcomes
from offramp_evaluation.replay.happened import Happened
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

Floats = NDArray[np.float64]

STEPS = ("wait", "device", "encode", "uplink", "edge_queue", "tail", "downlink", "given_up")
"""Where a sample's latency goes, in this order; `given_up` is what was spent on an edge that did not answer in time.
They add up to the latency."""
QUANTILES = 41
"""Points at which a distribution of latencies is kept: every 2.5 %."""
BINS = 60
"""Of a time line, at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Beside the outcomes of a row, sample by sample, in their order."""

    arrival_N: Floats
    plan_N: NDArray[np.int64]
    """The place in `plans`."""
    plans: tuple[str, ...]
    steps_NS: Floats
    """Seconds, by STEPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The link over time."""

    every: float
    """Seconds of a bin."""
    bandwidth: tuple[float, ...]
    """[B] bits per second up, mean over each bin."""


def course_of(done: Happened, arrivals: Mapping[str, Floats]) -> Course:
    """Of every sample, in the order of the results; `arrivals` of each device are by its name and their index."""
    texts = {revision: str(plan) for revision, plan in done.plans.items()}
    plans = tuple(sorted(set(texts.values())))
    return Course(
        arrival_N=np.array([arrivals[result.stream][result.index] for result in done.results], np.float64),
        plan_N=np.array([plans.index(texts[result.revision]) for result in done.results], np.int64),
        plans=plans,
        steps_NS=np.array([list(_steps(result, done)) for result in done.results], np.float64),
    )


def timeline(course: Course, link: Trace) -> Timeline:
    """Bins that are whole seconds long, over all arrivals."""
    every = float(max(1, math.ceil(float(course.arrival_N.max()) / BINS)))
    count = int(course.arrival_N.max() // every) + 1
    edges = np.arange(count + 1) * every
    carried_B = 8 * Integral(link).between(edges[:-1], edges[1:]) / every
    return Timeline(every=every, bandwidth=tuple(carried_B.tolist()))


def views(course: Course, outcomes: Outcomes, line: Timeline) -> dict[str, Any]:
    """What can be drawn of a row; times are of the samples that were answered, NaN where there is none."""
    there_N = ~outcomes.where(Answered.REJECTED)
    latency_N, steps_NS = outcomes.latency_N[there_N], course.steps_NS[there_N]
    spread = np.quantile(latency_N, np.linspace(0, 1, QUANTILES)) if len(latency_N) else np.full(QUANTILES, np.nan)
    mean_S = steps_NS.mean(axis=0) if len(steps_NS) else np.full(len(STEPS), np.nan)
    return {
        "latency_quantiles": spread.tolist(),
        "steps": dict(zip(STEPS, mean_S.tolist(), strict=True)),
        "timeline": _timeline(course, outcomes, there_N, line),
    }


def _timeline(course: Course, outcomes: Outcomes, there_N: NDArray[np.bool_], line: Timeline) -> dict[str, Any]:
    bins = len(line.bandwidth)
    bin_N = np.minimum((course.arrival_N / line.every).astype(np.int64), bins - 1)
    count_BP = np.zeros((bins, len(course.plans)), np.int64)
    np.add.at(count_BP, (bin_N, course.plan_N), 1)
    # Where nothing came, no plan was followed.
    plan_B = np.where(count_BP.any(axis=1), count_BP.argmax(axis=1), -1)
    return {
        "latency": _means(outcomes.latency_N[there_N], bin_N[there_N], bins).tolist(),
        "edge": _means(outcomes.where(Answered.EDGE).astype(np.float64), bin_N, bins).tolist(),
        "plan": plan_B.tolist(),
        "plans": list(course.plans),
    }


def _means(values: Floats, bin_N: NDArray[np.int64], bins: int) -> Floats:
    """[B] NaN where nothing is."""
    count_B = np.bincount(bin_N, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_B: Floats = np.bincount(bin_N, weights=values, minlength=bins) / count_B
    return mean_B


def _steps(result: Result, done: Happened) -> Iterator[float]:
    """By STEPS: what is left over is the way back, or was spent on an edge without an answer."""
    times = result.timings
    known = [times.wait, times.head + times.fallback, times.encode, 0.0, 0.0, 0.0]
    if times.edge is not None:
        uplink = done.up_seconds[result.stream, result.index]
        known[3:] = [uplink, times.edge.queue, times.edge.decode + times.edge.compute]
    left = max(result.latency - sum(known), 0.0)  # rounding
    yield from known
    yield from (0.0, left) if times.edge is None else (left, 0.0)
