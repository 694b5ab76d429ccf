"""Bounds on a mean hold, and are as tight as they are known to be."""

import math

import numpy as np
import pytest

from offramp.exits.bounds import betting_upper, binomial_tail, hoeffding_bentkus


@pytest.mark.parametrize(("most", "count", "chance"), [(0, 10, 0.1), (3, 20, 0.3), (19, 20, 0.5), (50, 1_000, 0.06)])
def test_the_binomial_tail_is_the_sum_of_its_terms(most: int, count: int, chance: float) -> None:
    terms = (math.comb(count, hits) * chance**hits * (1 - chance) ** (count - hits) for hits in range(most + 1))
    assert binomial_tail(most, count, chance) == pytest.approx(math.fsum(terms), rel=1e-9)


@pytest.mark.parametrize(("most", "tail"), [(-1, 0.0), (5, 1.0), (7, 1.0)])
def test_the_binomial_tail_ends_where_its_trials_do(most: int, tail: float) -> None:
    assert binomial_tail(most, 5, 0.3) == tail


def test_losses_at_the_limit_or_above_are_no_evidence_below_it() -> None:
    assert hoeffding_bentkus(np.array([0.1, 0.2, 1.0]), 1_000, 0.1) == pytest.approx([1.0, 1.0, 1.0])


def test_less_loss_and_more_units_are_more_evidence() -> None:
    few, many = (hoeffding_bentkus(np.array([0.0, 0.02, 0.05]), count, 0.1) for count in (100, 400))
    assert (np.diff(few) > 0).all()
    assert (many < few).all()


def test_a_p_value_is_seldom_small_where_the_mean_is_at_the_limit() -> None:
    rng = np.random.default_rng(0)
    means = rng.beta(0.1, 0.9, (2_000, 60)).mean(axis=1)  # losses between 0 and 1 whose true mean is 0.1
    assert (hoeffding_bentkus(means, 60, 0.1) <= 0.1).mean() <= 0.1


def test_the_upper_bound_holds_in_all_but_delta_of_the_draws() -> None:
    rng = np.random.default_rng(1)
    losses_MT = rng.beta(0.2, 1.8, (200, 500))
    assert (betting_upper(losses_MT, 0.1) < 0.1).mean() <= 0.1


def test_the_upper_bound_closes_in_on_the_mean() -> None:
    rng = np.random.default_rng(2)
    gaps = [
        float(betting_upper(rng.binomial(1, 0.05, (count, 1)).astype(float), 0.05)[0]) - 0.05 for count in (50, 5_000)
    ]
    assert 0 < gaps[1] < gaps[0] / 4


def test_the_upper_bound_is_where_the_bettor_reaches_one_over_delta() -> None:
    losses = np.random.default_rng(3).random(40)
    bound = float(betting_upper(losses[:, None], 0.1)[0])

    def most(mean: float) -> float:
        wealth = best = 1.0
        total, squares, variance = 0.5, 0.25, 0.25
        for seen, loss in enumerate(losses, start=1):
            stake = min(1.0, math.sqrt(2 * math.log(10) / (len(losses) * variance)))
            wealth *= 1 - stake * (loss - mean)
            best = max(best, wealth)
            total += loss
            squares += (loss - total / (1 + seen)) ** 2
            variance = squares / (1 + seen)
        return best

    assert most(bound + 1e-6) >= 10 > most(bound - 1e-6)


def test_a_loss_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="rescale them first"):
        betting_upper(np.array([[1.5]]), 0.1)
