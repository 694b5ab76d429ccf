"""Traces made rather than recorded: constant, step, sine, Markov, and outages cut into another trace."""

from collections.abc import Sequence

import numpy as np

from offramp.errors import DataError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.traces.trace import After, Trace


def constant(rate: BitsPerSecond, *, duration: Seconds = Seconds(60.0), delay: Seconds = Seconds(0.0)) -> Trace:
    """One rate for ever; `duration` only bounds statistics and pictures."""
    return Trace.of("constant", [0.0], [rate], duration=duration, delay=delay)


def step(
    steps: Sequence[tuple[Seconds, BitsPerSecond]], *, delay: Seconds = Seconds(0.0), after: After = After.HOLD
) -> Trace:
    """Rates one after the other, each for its own duration; rate 0 is an outage.

    Raises:
        DataError: No step, or a step that does not last.
    """
    if not steps:
        raise DataError("a step trace needs at least one step; give (duration, rate) pairs")
    lengths, rates = np.array(steps, dtype=np.float64).T
    ends = np.cumsum(lengths)
    return Trace.of("step", np.append(0.0, ends[:-1]), rates, duration=ends[-1], delay=delay, after=after)


def sine(
    low: BitsPerSecond,
    high: BitsPerSecond,
    *,
    period: Seconds,
    duration: Seconds,
    bin: Seconds = Seconds(0.1),  # noqa: A002 - the word for it
    delay: Seconds = Seconds(0.0),
) -> Trace:
    """A rate that swings between `low` and `high`, starting half-way and rising; each bin holds the exact mean.

    Raises:
        DataError: A duration, period or bin that is not positive, or low above high.
    """
    if not 0 <= low <= high or min(period, duration, bin) <= 0:
        raise DataError(f"a sine needs 0 <= low <= high and positive times; got {low} to {high}, period {period} s")
    edges = np.append(np.arange(0.0, duration - bin * 1e-6, bin), duration)
    turn = 2 * np.pi / period
    swing_T = -np.diff(np.cos(turn * edges)) / (turn * np.diff(edges))  # mean of sin over each bin
    # Rounding may leave the mean of a tiny bin a hair outside.
    rate_T = np.clip((low + high) / 2 + (high - low) / 2 * swing_T, low, high)
    return Trace.of("sine", edges[:-1], rate_T, duration=duration, delay=delay)


def markov(
    rates: Sequence[BitsPerSecond],
    *,
    dwell: Seconds,
    duration: Seconds,
    seed: int,
    delay: Seconds = Seconds(0.0),
) -> Trace:
    """A link that stays at a rate for an exponential time of mean `dwell`, then jumps to another with equal chance.

    Rate 0 among `rates` makes outages. The same seed gives the same trace.

    Raises:
        DataError: Fewer than two rates, or a time that is not positive.
    """
    if len(rates) < 2 or dwell <= 0 or duration <= 0:
        raise DataError(f"a Markov trace needs two rates and positive times; got {len(rates)}, {dwell} s, {duration} s")
    random = np.random.default_rng(seed)
    state, now = int(random.integers(len(rates))), 0.0
    times, states = [], []
    while now < duration:
        times.append(now)
        states.append(state)
        # Zero has no chance, but a denormal would make two pieces begin at one time.
        now += max(float(random.exponential(dwell)), 1e-6)
        state = (state + 1 + int(random.integers(len(rates) - 1))) % len(rates)
    return Trace.of("markov", times, np.asarray(rates, np.float64)[states], duration=duration, delay=delay)


def with_outage(trace: Trace, start: Seconds, stop: Seconds) -> Trace:
    """The same trace with nothing arriving between two times.

    Raises:
        DataError: The outage does not lie within the trace.
    """
    if not 0 <= start < stop <= trace.duration:
        raise DataError(f"an outage from {start} s to {stop} s does not lie within {trace.name!r} ({trace.duration} s)")
    time_T = np.union1d(trace.time_T, [start, stop] if stop < trace.duration else [start])
    index = trace.piece_at(time_T)
    dark_T = (time_T >= start) & (time_T < stop)
    return Trace.of(
        trace.name,
        time_T,
        np.where(dark_T, 0.0, trace.rate_T[index]),
        duration=trace.duration,
        delay=trace.delay_T[index],
        loss=trace.loss_T[index],
        after=trace.after,
    )
