"""Traces: the value, the operations, the generators, the integral and the schedule for the shaper."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.shaper.link import parse_schedule
from offramp_evaluation.traces.blocks import draw_blocks
from offramp_evaluation.traces.generate import constant, markov, sine, step, with_outage
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.operations import concatenate, cut, repeat, resample, scale
from offramp_evaluation.traces.statistics import describe
from offramp_evaluation.traces.steps import to_link_steps
from offramp_evaluation.traces.trace import After, Trace

S, BPS = Seconds, BitsPerSecond


def a_trace(*pieces: tuple[float, float], after: After = After.HOLD, loss: float = 0.0, delay: float = 0.0) -> Trace:
    """(duration, bits per second) pairs."""
    made = step([(S(length), BPS(rate)) for length, rate in pieces], delay=S(delay), after=after)
    return Trace.of("made", made.time_T, made.rate_T, duration=made.duration, delay=delay, loss=loss, after=after)


# Rates as multiples of 8 bit/s and times of 1/4 s: many coincidences, which are what goes wrong.
pieces = st.lists(
    st.tuples(st.integers(1, 12).map(lambda n: n / 4), st.sampled_from([0.0, 0.0, 8.0, 80.0, 1e4])),
    min_size=1,
    max_size=8,
)
traces = st.builds(
    lambda items, after, loss: a_trace(*items, after=after, loss=loss),
    pieces,
    st.sampled_from(list(After)),
    st.sampled_from([0.0, 0.25]),
)
times = st.integers(0, 400).map(lambda n: n / 8)
sizes = st.integers(0, 3000).map(float)


# ── the value ──


@pytest.mark.parametrize(
    ("time", "rate", "duration", "says"),
    [
        ([], [], 1.0, "empty"),
        ([0.0, 1.0], [1.0, -1.0], 2.0, "0 or more"),
        ([0.0, 1.0], [1.0, math.nan], 2.0, "finite"),
        ([0.5, 1.0], [1.0, 1.0], 2.0, "starts at 0"),
        ([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], 2.0, "times must grow"),
        ([0.0, 1.0], [1.0, 1.0], 1.0, "duration"),
        ([0.0, 1.0], [1.0], 2.0, "shape"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(time: list[float], rate: list[float], duration: float, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Trace.of("bad", time, rate, duration=duration)


def test_a_trace_cannot_be_changed_behind_its_back() -> None:
    rates = np.array([1.0, 2.0])
    trace = Trace.of("t", [0.0, 1.0], rates, duration=2.0)
    rates[0] = 9.0
    assert trace.rate_T[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        trace.rate_T[0] = 9.0


def test_past_the_end_the_last_rate_holds_or_the_trace_starts_again() -> None:
    trace = a_trace((1, 5.0), (1, 7.0))
    assert trace.rate_at([0.5, 1.0, 5.5]).tolist() == [5.0, 7.0, 7.0]
    assert trace.ending(After.REPEAT).rate_at([0.5, 1.0, 2.0, 5.5]).tolist() == [5.0, 7.0, 5.0, 7.0]


# ── the integral ──


def test_a_payload_takes_its_bits_divided_by_the_rate() -> None:
    link = Integral(constant(BPS(8000.0)))
    assert link.finish([0.0, 2.0, 100.0], [1000, 500, 1000]).tolist() == [1.0, 2.5, 101.0]


def test_a_payload_that_ends_where_an_outage_begins_ends_there() -> None:
    link = Integral(a_trace((1, 800.0), (5, 0.0), (1, 800.0)))
    assert link.finish(0.3, 70) == pytest.approx(1.0)
    assert link.finish(0.3, 71) == pytest.approx(6.01)


@given(share=st.floats(0.001, 0.999), rate=st.floats(1e3, 1e8), after=st.sampled_from(list(After)))
def test_a_payload_as_large_as_all_before_an_outage_is_not_thrown_behind_it(
    share: float, rate: float, after: After
) -> None:
    trace = a_trace((1 / 3, rate / 3), (1 / 7, rate), (1000.0, 0.0), (1.0, rate), after=after)
    link, outage, start = Integral(trace), float(trace.time_T[2]), share / 3
    rest = float(link.between(start, outage))
    assert float(link.finish(start, rest)) == pytest.approx(outage, abs=1e-9)
    assert link.finish_one(start, rest) == pytest.approx(outage, abs=1e-9)
    assert link.queue([start], [rest]).tolist() == pytest.approx([outage], abs=1e-9)


def test_a_payload_over_an_outage_that_never_ends_never_arrives() -> None:
    link = Integral(a_trace((1, 800.0), (1, 0.0)))
    assert link.finish([0.0, 0.5, 1.5], [101, 60, 1]).tolist() == [math.inf] * 3
    assert link.finish(0.0, 100) == pytest.approx(1.0)
    assert Integral(a_trace((1, 0.0), after=After.REPEAT)).finish(0.0, 1) == math.inf


def test_a_payload_of_no_bytes_is_through_at_once_even_in_an_outage() -> None:
    link = Integral(a_trace((1, 8.0), (1, 0.0)))
    assert link.finish([0.5, 1.5, 9.0], 0).tolist() == [0.5, 1.5, 9.0]


def test_lost_packets_are_sent_again() -> None:
    assert Integral(a_trace((10, 8000.0), loss=0.5)).finish(0.0, 1000) == pytest.approx(2.0)


@given(trace=traces, start=times, nbytes=sizes)
def test_exactly_the_payload_is_through_when_it_is_finished_and_less_before(
    trace: Trace, start: float, nbytes: float
) -> None:
    link = Integral(trace)
    done = float(link.finish(start, nbytes))
    if math.isinf(done):
        assert float(link.between(start, start + 1000 * trace.duration)) < nbytes
        return
    assert float(link.between(start, done)) == pytest.approx(nbytes, abs=1e-5)
    # The earliest such moment: a little before, some of it is missing (or it had not started).
    before = done - 1e-4
    assert nbytes == 0 or before < start or float(link.between(start, before)) < nbytes - 1e-5


@given(trace=traces, start=times, nbytes=sizes)
def test_one_by_one_and_all_at_once_agree(trace: Trace, start: float, nbytes: float) -> None:
    link = Integral(trace)
    assert link.finish_one(start, nbytes) == pytest.approx(float(link.finish(start, nbytes)), abs=1e-9)


@given(trace=traces, jobs=st.lists(st.tuples(times, sizes), min_size=1, max_size=12))
def test_a_queue_is_one_payload_after_the_other(trace: Trace, jobs: list[tuple[float, float]]) -> None:
    link = Integral(trace)
    jobs = sorted(jobs)
    expected, free = [], 0.0
    for ready, nbytes in jobs:
        free = float(link.finish(max(ready, free), nbytes)) if math.isfinite(free) else math.inf
        expected.append(free)
    done = link.queue([ready for ready, _ in jobs], [nbytes for _, nbytes in jobs])
    assert done == pytest.approx(np.array(expected), abs=1e-6)


def test_a_queue_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="in order"):
        Integral(constant(BPS(8.0))).queue([1.0, 0.0], [1, 1])


# ── operations ──


def total_bytes(trace: Trace) -> float:
    return float(Integral(trace).until(trace.duration))


@given(trace=traces, width=st.sampled_from([0.1, 0.3, 1.0, 7.0]))
def test_resampling_keeps_every_byte_and_the_duration(trace: Trace, width: float) -> None:
    binned = resample(trace, S(width))
    assert binned.duration == trace.duration
    assert total_bytes(binned) == pytest.approx(total_bytes(trace))


def test_resampling_in_a_given_example() -> None:
    binned = resample(a_trace((1, 10.0), (3, 30.0)), S(2.0))
    assert binned.time_T.tolist() == [0.0, 2.0]
    assert binned.rate_T.tolist() == [20.0, 30.0]


@given(trace=traces, at=st.integers(1, 99))
def test_cut_in_two_and_concatenated_a_trace_is_the_same(trace: Trace, at: int) -> None:
    middle = S(trace.duration * at / 100)
    again = concatenate([cut(trace, stop=middle), cut(trace, middle)])
    moments = (trace.time_T + trace.lengths / 3) % trace.duration
    assert again.duration == pytest.approx(trace.duration)
    assert again.rate_at(moments).tolist() == trace.rate_at(moments).tolist()
    assert total_bytes(again) == pytest.approx(total_bytes(trace))


@given(trace=traces, passes=st.integers(1, 4), moment=times)
def test_repeated_by_hand_or_by_its_ending_a_trace_is_the_same(trace: Trace, passes: int, moment: float) -> None:
    unrolled = repeat(trace, passes)
    inside = moment % (passes * trace.duration)
    looped = Integral(trace.ending(After.REPEAT))
    assert float(looped.until(inside)) == pytest.approx(float(Integral(unrolled).until(inside)))


def test_scaling_rate_time_and_delay() -> None:
    trace = scale(a_trace((2, 10.0), (2, 20.0), delay=0.1), rate=3, time=0.5, delay=2)
    assert trace.time_T.tolist() == [0.0, 1.0]
    assert trace.rate_T.tolist() == [30.0, 60.0]
    assert trace.delay_T.tolist() == [0.2, 0.2]
    assert trace.duration == 2.0


@pytest.mark.parametrize("act", [
    lambda trace: cut(trace, S(1.0), S(9.0)),
    lambda trace: cut(trace, S(1.0), S(1.0)),
    lambda trace: repeat(trace, 0),
    lambda trace: resample(trace, S(0.0)),
    lambda trace: scale(trace, time=0),
    lambda trace: concatenate([trace][1:]),
    lambda trace: with_outage(trace, S(3.0), S(5.0)),
])  # fmt: skip
def test_an_operation_that_has_no_answer_says_so(act: Callable[[Trace], Trace]) -> None:
    with pytest.raises(DataError):
        act(a_trace((2, 10.0), (2, 20.0)))


# ── generators ──


def test_a_sine_stays_within_its_bounds_and_averages_half_way() -> None:
    trace = sine(BPS(1e6), BPS(3e6), period=S(10.0), duration=S(20.0))
    numbers = describe(trace)
    assert numbers.mean == pytest.approx(2e6)
    assert 1e6 <= trace.rate_T.min() < 1.01e6
    assert 2.99e6 < trace.rate_T.max() <= 3e6


def test_a_markov_trace_is_its_seed_and_never_stays_twice() -> None:
    made = [markov([BPS(0.0), BPS(1e6), BPS(5e6)], dwell=S(2.0), duration=S(300.0), seed=seed) for seed in (7, 7, 8)]
    assert made[0].rate_T.tolist() == made[1].rate_T.tolist() != made[2].rate_T.tolist()
    assert np.all(np.diff(made[0].rate_T) != 0)
    assert 1.2 < made[0].lengths.mean() < 3.2


def test_an_outage_is_cut_into_a_trace() -> None:
    trace = with_outage(a_trace((2, 10.0), (2, 20.0)), S(1.5), S(3.0))
    assert trace.rate_at([1.4, 1.5, 2.9, 3.0]).tolist() == [10.0, 0.0, 0.0, 20.0]
    assert describe(trace).longest_outage == 1.5


# ── statistics and drawing ──


def test_statistics_do_not_depend_on_how_the_trace_is_cut_up() -> None:
    coarse = describe(a_trace((1, 0.0), (2, 10.0), (1, 30.0)))
    fine = describe(a_trace((0.5, 0.0), (0.5, 0.0), (0.25, 10.0), (1.75, 10.0), (0.5, 30.0), (0.5, 30.0)))
    assert coarse.pieces == 3
    for name in ("mean", "median", "p5", "p95", "variation", "outage", "longest_outage"):
        assert getattr(coarse, name) == pytest.approx(getattr(fine, name)), name
    assert (coarse.mean, coarse.median, coarse.outage, coarse.longest_outage) == (12.5, 10.0, 0.25, 1.0)


def test_neighbouring_pieces_are_one_outage_and_separate_ones_are_two() -> None:
    numbers = describe(a_trace((1, 0.0), (2, 10.0), (1, 0.0), (2, 0.0), (1, 10.0), (2, 0.0)))
    assert numbers.longest_outage == 3.0
    assert numbers.outage == pytest.approx(6 / 9)


def test_blocks_grow_with_the_rate_and_mark_outages() -> None:
    drawing = draw_blocks(a_trace((1, 4e6), (1, 2e6), (1, 0.0), (1, 1e6)), width=4, height=2)
    assert drawing.splitlines() == [
        "4.00 Mbit/s ┤█",
        "            ┤██ ▄",
        "          0 ┼──×─",
        "            0 s4.00 s",
    ]


# ── the shaper ──


def test_a_trace_becomes_the_shapers_schedule() -> None:
    schedule = to_link_steps(a_trace((1, 2e6), (1, 0.0), (1, 3e6), (1, 3e6), delay=0.02))
    assert schedule == parse_schedule("1s:2mbit,20ms; 1s:outage; 3mbit,20ms")


def test_two_directions_meet_in_one_schedule() -> None:
    schedule = to_link_steps(a_trace((1, 2e6), (2, 3e6)), a_trace((2, 8e6), (1, 9e6)))
    assert schedule == parse_schedule("1s:2mbit/8mbit; 1s:3mbit/8mbit; 3mbit/9mbit")


@given(trace=traces, lasting=st.integers(1, 80).map(float), moment=st.integers(0, 639))
def test_the_schedule_is_the_trace_at_every_moment(trace: Trace, lasting: float, moment: float) -> None:
    elapsed = (moment % (lasting * 8)) / 8 + 1 / 64  # never on an edge
    link = to_link_steps(trace, lasting=S(lasting)).at(S(elapsed))
    assert link.up == link.down == pytest.approx(float(trace.goodput[trace.piece_at(elapsed)]))
