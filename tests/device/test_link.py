"""The link estimate, against a simulated link: first in first out, a rate, a round trip, jitter."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.measure.link import LinkEstimator
from offramp.units import Seconds

EDGE = 0.003
MBIT = 1e6


class SimulatedLink:
    """Answers when a link of this rate (bits per second) and round trip would; jitter only ever delays."""

    def __init__(self, rate: float, round_trip: float, *, jitter: float = 0.0002, seed: int = 1) -> None:
        self.rate, self.round_trip, self.jitter = rate, round_trip, jitter
        self.free_at = 0.0
        self._random = random.Random(seed)

    def answer_at(self, nbytes: int, now: float) -> float:
        self.free_at = max(self.free_at, now) + 8 * nbytes / self.rate
        return self.free_at + self.round_trip + EDGE + abs(self._random.gauss(0, self.jitter))


def converse(
    estimator: LinkEstimator, link: SimulatedLink, sizes: list[int], *, gap: float, start: float = 0.0, first: int = 1
) -> float:
    """Send one payload each `gap` seconds, answers interleaved as they come; returns when the last has come."""
    coming: list[tuple[float, int]] = []
    for index, nbytes in enumerate(sizes):
        now = start + index * gap
        for moment, number in sorted(item for item in coming if item[0] <= now):
            estimator.answered(number, Seconds(EDGE), Seconds(moment))
        coming = [item for item in coming if item[0] > now]
        estimator.sent(first + index, nbytes, Seconds(now))
        coming.append((link.answer_at(nbytes, now), first + index))
    for moment, number in sorted(coming):
        estimator.answered(number, Seconds(EDGE), Seconds(moment))
    return max(moment for moment, _ in coming)


def payloads(count: int) -> list[int]:
    return [4_000 + 7_919 * index % 6_000 for index in range(count)]


@pytest.mark.parametrize("rate", [0.5 * MBIT, 2 * MBIT, 20 * MBIT])
@pytest.mark.parametrize("round_trip", [0.005, 0.02, 0.1])
def test_rate_and_round_trip_of_a_quiet_link_are_told_apart(rate: float, round_trip: float) -> None:
    estimator = LinkEstimator()
    end = converse(estimator, SimulatedLink(rate, round_trip), payloads(40), gap=0.25)
    estimate = estimator.estimate(Seconds(end))
    assert estimate is not None
    assert estimate.bandwidth == pytest.approx(rate, rel=0.1)
    assert estimate.round_trip == pytest.approx(round_trip, rel=0.1, abs=0.0005)


@pytest.mark.parametrize("rate", [0.5 * MBIT, 2 * MBIT, 20 * MBIT])
def test_equal_payloads_and_one_ping_of_either_size_are_enough(rate: float) -> None:
    estimator, link = LinkEstimator(), SimulatedLink(rate, 0.02)
    now = converse(estimator, link, [60, 1_200], gap=0.1)
    end = converse(estimator, link, [6_000] * 20, gap=0.25, start=now, first=10)
    estimate = estimator.estimate(Seconds(end))
    assert estimate is not None
    assert estimate.bandwidth == pytest.approx(rate, rel=0.1)


def test_a_busy_uplink_shows_its_rate_in_the_gaps_between_answers() -> None:
    estimator = LinkEstimator()
    end = converse(estimator, SimulatedLink(2 * MBIT, 0.1), [10_000] * 30, gap=0.001)
    estimate = estimator.estimate(Seconds(end))
    assert estimate is not None
    assert estimate.bandwidth == pytest.approx(2 * MBIT, rel=0.1)


@pytest.mark.parametrize(("before", "after"), [(20, 1), (20, 2), (1, 20), (0.5, 20)])
def test_a_step_is_seen_within_three_offloads(before: float, after: float) -> None:
    estimator, link = LinkEstimator(), SimulatedLink(before * MBIT, 0.02)
    now = converse(estimator, link, payloads(30), gap=0.25)
    link.rate = after * MBIT
    end = converse(estimator, link, [6_000] * 3, gap=0.25, start=now + 0.25, first=100)
    estimate = estimator.estimate(Seconds(end))
    assert estimate is not None
    assert estimate.bandwidth == pytest.approx(after * MBIT, rel=0.25)


def test_one_late_answer_is_no_step() -> None:
    estimator, link = LinkEstimator(), SimulatedLink(20 * MBIT, 0.02)
    now = converse(estimator, link, payloads(30), gap=0.25) + 0.25
    estimator.sent(100, 6_000, Seconds(now))
    late = link.answer_at(6_000, now) + 0.2
    estimator.answered(100, Seconds(EDGE), Seconds(late))
    estimate = estimator.estimate(Seconds(late))
    assert estimate is not None
    assert estimate.bandwidth > 10 * MBIT


def test_silence_lowers_the_rate_that_is_believed_and_an_answer_restores_it() -> None:
    estimator, link = LinkEstimator(), SimulatedLink(20 * MBIT, 0.02)
    now = converse(estimator, link, payloads(30), gap=0.25) + 0.25
    calm = estimator.predict(6_000, Seconds(now))
    estimator.sent(100, 6_000, Seconds(now))
    anxious = estimator.predict(6_000, Seconds(now + 1.0))
    assert calm < 0.05
    assert anxious > 0.9


def test_the_stated_uncertainty_covers_what_cannot_be_known() -> None:
    """Equal payloads and nothing else: rate and round trip cannot be told apart, and it says so."""
    estimator = LinkEstimator()
    end = converse(estimator, SimulatedLink(2 * MBIT, 0.02), [6_000] * 20, gap=0.25)
    estimate = estimator.estimate(Seconds(end))
    assert estimate is not None
    assert estimate.bandwidth_low < 2 * MBIT < estimate.bandwidth_high


@pytest.mark.parametrize("backlog", [0, 1, 5])
def test_the_prediction_counts_what_is_on_the_way(backlog: int) -> None:
    estimator, link = LinkEstimator(), SimulatedLink(1 * MBIT, 0.05)
    now = converse(estimator, link, payloads(40), gap=0.25) + 1.0
    for index in range(backlog):
        estimator.sent(100 + index, 5_000, Seconds(now))
        link.answer_at(5_000, now)
    truth = link.answer_at(5_000, now) - now
    assert estimator.predict(5_000, Seconds(now)) == pytest.approx(truth, rel=0.15)


def test_a_restart_forgets_what_was_on_the_way_but_not_the_link() -> None:
    estimator = LinkEstimator()
    now = converse(estimator, SimulatedLink(2 * MBIT, 0.02), payloads(30), gap=0.25)
    estimator.sent(100, 6_000, Seconds(now))
    estimator.restart()
    estimate = estimator.estimate(Seconds(now + 5))
    assert estimate is not None
    assert (estimator.unanswered, estimator.oldest()) == (0, None)
    assert estimate.bandwidth == pytest.approx(2 * MBIT, rel=0.1)
    assert estimate.bandwidth_low < 1 * MBIT


def test_nothing_is_claimed_before_anything_was_learned() -> None:
    assert LinkEstimator().estimate(Seconds(3.0)) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(0, 5), st.floats(0, 0.5), st.booleans()), min_size=1, max_size=40
    )
)
def test_whatever_is_seen_the_estimate_stays_sane(events: list[tuple[int, float, float, bool]]) -> None:
    """Any sizes, any delays (also impossible ones: edge times longer than the wait), answers in any order."""
    estimator, now, waiting = LinkEstimator(), 0.0, []
    for number, (nbytes, wait, edge, oldest_first) in enumerate(events):
        estimator.sent(number, nbytes, Seconds(now))
        waiting.append(number)
        now += wait
        if wait > 1:
            estimator.answered(waiting.pop(0 if oldest_first else -1), Seconds(edge), Seconds(now))
        predicted = estimator.predict(1_000, Seconds(now))
        assert 0 <= predicted < float("inf")
        estimate = estimator.estimate(Seconds(now))
        if estimate is not None:
            assert 0 < estimate.bandwidth_low <= estimate.bandwidth <= estimate.bandwidth_high < float("inf")
            assert 0 <= estimate.round_trip < float("inf")
    for number in waiting:
        estimator.withdraw(number)
    assert estimator.unanswered == 0
