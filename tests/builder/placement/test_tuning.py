"""Thresholds of sets of exits, and which sets are chosen: on samples made up so that the answer is known."""

from itertools import product

import numpy as np
import pytest

from offramp_builder.placement.choosing import best_alone, choose
from offramp_builder.placement.tuning import GRID, Said, steps_of, tune

EASY, HARD = 600, 400
FULL = 1.0


def said(*exits: tuple[float, float, float, float], full_wrong: float = 0.1) -> Said:
    """Each exit: (seconds to leave, seconds added, share of easy samples it gets right, share of hard ones).

    Easy samples come first, at confidences of 0.9 to 1; hard ones at 0.4 to 0.9.
    """
    rng = np.random.default_rng(0)
    confidence_EN, wrong_EN = [], []
    for _, _, easy, hard in exits:
        confidence_EN.append(np.concatenate([rng.uniform(0.9, 1.0, EASY), rng.uniform(0.4, 0.9, HARD)]))
        right = np.concatenate([rng.random(EASY) < easy, rng.random(HARD) < hard])
        wrong_EN.append(1.0 - right)
    return Said(
        step_EN=np.stack([steps_of(one.astype(np.float32)) for one in confidence_EN]),
        wrong_EN=np.stack(wrong_EN),
        wrong_N=(rng.random(EASY + HARD) < full_wrong).astype(float),
        leave_E=np.array([one[0] for one in exits]),
        added_E=np.array([one[1] for one in exits]),
        full=FULL,
    )


def by_hand(given: Said, exits: tuple[int, ...], steps: tuple[int, ...]) -> tuple[float, float]:
    """(seconds, accuracy): sample by sample, from the definition."""
    seconds, right = [], []
    for sample in range(len(given.wrong_N)):
        paid, answer = 0.0, None
        for one, step in zip(exits, steps, strict=True):
            if given.step_EN[one, sample] >= step:
                answer = paid + given.leave_E[one], given.wrong_EN[one, sample]
                break
            paid += given.added_E[one] if step < len(GRID) else 0.0
        took, wrong = answer or (paid + given.full, given.wrong_N[sample])
        seconds.append(took)
        right.append(1 - wrong)
    return float(np.mean(seconds)), float(np.mean(right))


def test_what_a_set_takes_is_what_its_samples_pay_one_by_one() -> None:
    given = said((0.2, 0.05, 0.95, 0.5), (0.6, 0.03, 0.97, 0.8))
    tuned = tune(given, (0, 1), 0.02)
    assert (tuned.mean, tuned.accuracy) == pytest.approx(by_hand(given, tuned.exits, tuned.steps))


def test_the_budget_holds_and_is_used() -> None:
    given = said((0.2, 0.05, 0.95, 0.3))
    strict, lenient = (tune(given, (0,), drop) for drop in (0.0, 0.1))
    for tuned, drop in ((strict, 0.0), (lenient, 0.1)):
        assert tuned.accuracy >= given.full_accuracy - drop - 1e-9
    assert lenient.mean < strict.mean


def test_one_threshold_is_the_best_of_the_grid() -> None:
    given = said((0.3, 0.05, 0.93, 0.4))
    tuned = tune(given, (0,), 0.03)
    allowed = [by_hand(given, (0,), (step,)) for step in range(len(GRID) + 1)]
    best = min(seconds for seconds, accuracy in allowed if accuracy >= given.full_accuracy - 0.03 - 1e-9)
    assert tuned.mean <= best * 1.02


def test_two_thresholds_are_nearly_as_good_as_the_best_pair() -> None:
    given = said((0.2, 0.03, 0.9, 0.3), (0.5, 0.03, 0.96, 0.7))
    tuned = tune(given, (0, 1), 0.02)
    pairs = product(range(0, len(GRID) + 1, 3), repeat=2)
    allowed = [by_hand(given, (0, 1), pair) for pair in pairs]
    best = min(seconds for seconds, accuracy in allowed if accuracy >= given.full_accuracy - 0.02 - 1e-9)
    assert tuned.mean <= best * 1.05


def test_nobody_leaves_where_leaving_saves_nothing() -> None:
    assert tune(said((1.4, 0.3, 1.0, 1.0)), (0,), 0.5).leaves == (0.0,)


def test_an_exit_at_which_nobody_leaves_is_not_asked() -> None:
    useless, worth_it = (0.9, 0.3, 0.2, 0.2), (0.4, 0.05, 0.97, 0.3)
    given = said(useless, worth_it)
    both, alone = tune(given, (0, 1), 0.01), tune(given, (1,), 0.01)
    assert both.thresholds[0] is None
    assert both.mean == pytest.approx(alone.mean)


def test_an_exit_that_saves_less_than_it_adds_is_not_chosen() -> None:
    dear, worth_it = (0.95, 0.4, 0.99, 0.2), (0.4, 0.02, 0.97, 0.3)
    assert choose(said(dear, worth_it), 2, 0.01).exits == (1,)


def test_no_exit_is_chosen_where_none_keeps_the_budget() -> None:
    assert choose(said((0.2, 0.05, 0.5, 0.2), (0.4, 0.05, 0.5, 0.2)), 2, 0.0).exits == ()


def test_where_no_exit_saves_time_the_one_that_costs_least_spares_the_uplink() -> None:
    slow, slower = (1.05, 0.2, 1.0, 1.0), (1.1, 0.3, 1.0, 1.0)
    given = said(slower, slow)
    assert choose(given, 2, 0.01).exits == ()
    assert best_alone(given, 0.01).exits == (1,)


def test_the_chosen_set_is_the_best_of_all_sets() -> None:
    given = said((0.1, 0.03, 0.85, 0.2), (0.3, 0.02, 0.93, 0.4), (0.5, 0.02, 0.95, 0.6), (0.8, 0.02, 0.97, 0.8))
    chosen = choose(given, 2, 0.02)
    every = [tune(given, exits, 0.02) for exits in [(), *((one,) for one in range(4)), *pairs_of(4)]]
    assert chosen.mean <= min(one.mean for one in every) * 1.0021


def pairs_of(count: int) -> list[tuple[int, int]]:
    return [(first, second) for first in range(count) for second in range(first + 1, count)]


def test_many_places_are_searched_greedily_within_the_number_allowed() -> None:
    places = [(0.02 * number + 0.05, 0.01, 0.85 + 0.003 * number, 0.01 * number) for number in range(40)]
    tried: list[int] = []
    chosen = choose(said(*places), 4, 0.02, lambda done, _total: tried.append(done))
    assert 1 <= len(chosen.exits) <= 4
    assert chosen.mean < FULL
    assert tried[-1] < 1_500
