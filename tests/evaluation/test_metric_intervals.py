"""How sure the numbers are: laws of the intervals, and when one strategy may be called better."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from offramp_evaluation.metrics.comparison import Verdict, compare
from offramp_evaluation.metrics.intervals import (
    MEAN,
    P95,
    Statistic,
    bootstrap,
    evaluate,
    fewest_units,
    share,
    student_quantile,
    widened_tail,
    wilson,
)

CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.9995])


@given(trials=st.integers(1, 10_000), data=st.data(), confidence=CONFIDENCES)
def test_wilsons_interval_is_scipys(trials: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, trials))
    found = wilson(successes, trials, confidence=confidence)
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_a_trial_every_share_is_possible() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_more_successes_than_trials_cannot_be() -> None:
    with pytest.raises(ValueError, match="3 successes in 2 trials"):
        wilson(3, 2)


@given(confidence=CONFIDENCES, more=st.integers(0, 500))
def test_students_quantile_is_scipys(confidence: float, more: int) -> None:
    freedom = fewest_units(confidence) - 1 + more
    expected = stats.t.ppf((1 + confidence) / 2, freedom)
    # 4 degrees of freedom are what 90 % and more let through; 80 % lets 3 through, where the series is coarser.
    assert student_quantile((1 + confidence) / 2, freedom) == pytest.approx(expected, rel=3e-4 if freedom > 3 else 1e-3)


@given(confidence=CONFIDENCES)
def test_fewer_units_than_could_agree_by_chance_say_nothing(confidence: float) -> None:
    units = fewest_units(confidence)
    assert 2 * 0.5**units <= (1 - confidence) * (1 + 1e-9) < 2 * 0.5 ** (units - 1) * (1 + 1e-6)
    few = bootstrap(np.ones(units - 1), np.arange(units - 1), confidence=confidence)
    assert (few.low, few.high) == (-math.inf, math.inf)
    enough = bootstrap(np.ones(units), np.arange(units), confidence=confidence)
    assert (enough.low, enough.high) == (1.0, 1.0)


def test_the_interval_of_many_independent_values_is_the_normal_one() -> None:
    values = np.random.default_rng(5).exponential(size=4000)
    found = bootstrap(values, np.arange(4000))
    half = 1.96 * values.std() / math.sqrt(4000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(6).exponential(size=60)
    found = bootstrap(values, np.arange(60), replicates=9999)
    # scipy's percentile interval at the widened level is the same estimator with other random numbers.
    level = 1 - 2 * widened_tail(60, 0.95)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.05 * width)


def test_a_hundred_copies_of_a_stream_are_no_better_known_than_one() -> None:
    values = np.random.default_rng(7).normal(size=12)
    once = bootstrap(values, np.arange(12))
    copied = bootstrap(np.repeat(values, 100), np.repeat(np.arange(12), 100))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_few_units_widen_the_interval() -> None:
    assert widened_tail(6, 0.95) < widened_tail(20, 0.95) < widened_tail(1000, 0.95) < 0.025
    assert widened_tail(6, 0.95) == pytest.approx(stats.norm.cdf(-stats.t.ppf(0.975, 5) * math.sqrt(6 / 5)), rel=1e-2)
    assert widened_tail(100_000, 0.95) == pytest.approx(0.025, rel=1e-3)


@given(
    values=st.lists(st.floats(-100, 100), min_size=8, max_size=60),
    quantile=st.sampled_from([None, 0.05, 0.5, 0.95]),
    seed=st.integers(0, 3),
)
def test_an_interval_lies_within_the_values_and_is_its_seed(
    values: list[float], quantile: float | None, seed: int
) -> None:
    units, statistic = np.arange(len(values)) % 8, Statistic(quantile=quantile)
    found = bootstrap(values, units, statistic=statistic, replicates=200, seed=seed)
    again = bootstrap(values, units, statistic=statistic, replicates=200, seed=seed)
    assert found == again
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_a_quantile_counts_samples_as_often_as_their_unit_was_drawn() -> None:
    # Eight equal units: every draw holds the same values, so every replicate is the p95 itself.
    values = np.tile(np.arange(20.0), 8)
    found = bootstrap(values, np.repeat(np.arange(8), 20), statistic=P95, replicates=50)
    assert found.low == found.high == evaluate(values, P95) == 18.0


def test_a_quantile_moves_with_the_units_that_were_drawn() -> None:
    # Units of one value each: the median of a draw is the median of the units drawn.
    units = np.repeat(np.arange(9), 7)
    found = bootstrap(units.astype(float), units, statistic=Statistic(quantile=0.5))
    plain = bootstrap(np.arange(9.0), np.arange(9), statistic=Statistic(quantile=0.5))
    assert (found.low, found.high) == (plain.low, plain.high)
    assert found.low < 4.0 < found.high


@pytest.mark.parametrize("values", [[1.0, math.nan], [math.inf, 1.0]])
def test_a_value_that_is_not_finite_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap(values, [0, 1])
    with pytest.raises(ValueError, match="finite"):
        compare(values, [1.0, 1.0], [0, 1], better="lower")


def test_a_quantile_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="p95"):
        Statistic(quantile=95.0)


# ── shares over dependent samples ──


@given(st.lists(st.booleans(), min_size=6, max_size=60), CONFIDENCES)
def test_a_share_of_independent_samples_is_about_wilsons_and_never_narrower(
    hits: list[bool], confidence: float
) -> None:
    assume(len(hits) >= fewest_units(confidence))
    found = share(hits, np.arange(len(hits)), confidence=confidence)
    plain = wilson(sum(hits), len(hits), confidence=confidence)
    assert 0 <= found.low <= plain.low + 1e-9
    assert plain.high - 1e-9 <= found.high <= 1


def test_samples_that_move_together_count_as_one() -> None:
    streams = np.repeat(np.arange(40), 50)
    together = share(np.arange(40)[streams] < 30, streams)
    plain = wilson(30, 40)
    assert (together.low, together.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    assert together.units == 40


def test_a_share_over_few_units_is_widened_by_students_t() -> None:
    # Eight units of ten, 5 or 9 right in each: by hand, after Korn and Graubard.
    units = np.repeat(np.arange(8), 10)
    right_U = np.array([5, 9] * 4)
    hits = (np.arange(80) % 10) < right_U[units]
    mean = right_U.sum() / 80
    variance = 8 / 7 * np.sum((right_U - 10 * mean) ** 2) / 80**2
    worth = mean * (1 - mean) / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 7)) ** 2
    expected = wilson(mean * worth, worth)
    found = share(hits, units)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_all_right_is_not_certainly_right() -> None:
    streams = np.repeat(np.arange(10), 100)
    found = share(np.ones(1000), streams)
    assert found.low == pytest.approx(wilson(10, 10).low)
    assert found.high == 1.0


def test_one_stream_says_little_about_a_share() -> None:
    found = share(np.ones(1000), np.zeros(1000))
    assert found.low < 0.25


def test_a_share_of_nothing_may_be_anything() -> None:
    assert (share([], []).low, share([], []).high) == (0.0, 1.0)


# ── comparisons ──


def a_pair(
    units: int, gain: float, *, noise: float = 1.0, per_unit: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two strategies on the same streams: large common noise, a small steady gain, small noise between the two."""
    random = np.random.default_rng(units)
    unit_N = np.repeat(np.arange(units), per_unit)
    common_N = 10 * random.normal(size=units)[unit_N]
    return common_N - gain + 0.1 * noise * random.normal(size=len(unit_N)), common_N, unit_N


@pytest.mark.parametrize("statistic", [MEAN, Statistic(quantile=0.5)], ids=str)
def test_a_steady_gain_is_found_under_noise_that_both_share(statistic: Statistic) -> None:
    first, second, units = a_pair(30, gain=0.5)
    found = compare(first, second, units, better="lower", statistic=statistic)
    assert found.verdict is Verdict.FIRST
    assert found.interval.high < 0
    assert compare(second, first, units, better="lower", statistic=statistic).verdict is Verdict.SECOND
    assert compare(first, second, units, better="higher", statistic=statistic).verdict is Verdict.SECOND


def test_a_gain_within_the_noise_is_undecided() -> None:
    first, second, units = a_pair(30, gain=0.0)
    assert compare(first, second, units, better="lower").verdict is Verdict.UNDECIDED


def test_a_strategy_never_beats_itself() -> None:
    first, _, units = a_pair(30, gain=1.0)
    found = compare(first, first, units, better="lower")
    assert (found.difference, found.verdict) == (0.0, Verdict.UNDECIDED)


def test_a_gain_on_too_few_streams_is_undecided_however_large() -> None:
    first, second, units = a_pair(5, gain=100.0)
    assert compare(first, second, units, better="lower").verdict is Verdict.UNDECIDED
    first, second, units = a_pair(6, gain=100.0)
    assert compare(first, second, units, better="lower").verdict is Verdict.FIRST


def test_a_gain_on_one_stream_alone_is_undecided() -> None:
    first, second, units = a_pair(30, gain=0.0)
    first = np.where(units == 3, first - 5.0, first)
    assert compare(first, second, units, better="lower").verdict is Verdict.UNDECIDED


def test_the_mean_difference_is_bootstrapped_as_the_difference_of_pairs() -> None:
    first, second, units = a_pair(20, gain=0.3)
    found = compare(first, second, units, better="lower")
    direct = bootstrap(first - second, units)
    assert (found.interval.low, found.interval.high) == pytest.approx((direct.low, direct.high))


def test_unequal_lengths_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="a pair of values"):
        compare([1.0, 2.0], [1.0], [0, 1], better="lower")
