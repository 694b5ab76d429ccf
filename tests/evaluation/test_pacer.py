"""The virtual clock of one direction of a link."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.shaper.pacer import Pacer

sizes = st.lists(st.integers(1, 100_000), min_size=1, max_size=30)


def a_pacer(mbit: float) -> Pacer:
    return Pacer(BitsPerSecond(mbit * 1e6))


@given(sizes, st.floats(0.1, 1000.0))
def test_bytes_that_were_all_ready_leave_exactly_at_the_rate(chunks: list[int], mbit: float) -> None:
    pacer = a_pacer(mbit)
    for chunk in chunks:
        pacer.give(chunk, Seconds(5.0))
    assert pacer.free_at == pytest.approx(5.0 + 8 * sum(chunks) / (mbit * 1e6))


def test_an_idle_link_saves_nothing_up() -> None:
    pacer = a_pacer(8.0)
    pacer.give(1_000_000, Seconds(0.0))
    pacer.give(1_000_000, Seconds(100.0))
    assert pacer.free_at == pytest.approx(101.0)


def test_a_sender_that_never_pauses_loses_nothing_to_late_timers() -> None:
    pacer = a_pacer(8.0)
    for _ in range(100):
        pacer.give(10_000, pacer.free_at if pacer.free_at > 0 else Seconds(0.0))
    assert pacer.free_at == pytest.approx(1.0)


@given(sizes, st.lists(st.floats(0.001, 1.0), min_size=1, max_size=8), st.floats(0.1, 100.0), st.floats(0.1, 100.0))
def test_a_change_of_rate_neither_loses_nor_adds_bits(
    chunks: list[int], pauses: list[float], first: float, second: float
) -> None:
    pacer = a_pacer(first)
    for chunk in chunks:
        pacer.give(chunk, Seconds(0.0))
    left, now, rate = 8.0 * sum(chunks), 0.0, first
    for pause in pauses:
        left, now = max(0.0, left - pause * rate * 1e6), now + pause
        rate = second if rate == first else first
        pacer.change(BitsPerSecond(rate * 1e6), Seconds(now))
    assert max(pacer.free_at - now, 0.0) == pytest.approx(left / (rate * 1e6), rel=1e-6, abs=1e-6)


def test_an_outage_holds_what_waits_and_lets_it_go_afterwards() -> None:
    pacer = a_pacer(8.0)
    pacer.give(1_000_000, Seconds(0.0))
    pacer.change(BitsPerSecond(0.0), Seconds(0.25))
    assert pacer.free_at == math.inf
    pacer.give(1_000_000, Seconds(1.0))
    pacer.change(BitsPerSecond(8e6), Seconds(10.0))
    assert pacer.free_at == pytest.approx(11.75)


def test_an_unlimited_link_takes_everything_at_once() -> None:
    pacer = Pacer(BitsPerSecond(math.inf))
    pacer.give(1 << 30, Seconds(3.0))
    assert pacer.free_at == 3.0
