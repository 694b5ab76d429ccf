import numpy as np
import pytest

from offramp.planning.bounds import PairedLoss, student, wilson_low


@pytest.mark.parametrize(("share", "trials", "expected"), [(0.9, 100, 0.838), (1.0, 20, 0.881), (0.0, 10, 0.0)])
def test_the_lower_bound_is_wilsons(share: float, trials: int, expected: float) -> None:
    assert wilson_low(share, trials) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("degrees", "expected"), [(3, 2.353), (10, 1.812), (30, 1.697), (359, 1.649)])
def test_students_quantile_is_that_of_the_tables(degrees: int, expected: float) -> None:
    assert student(degrees) == pytest.approx(expected, rel=0.01)


def test_nothing_lost_in_a_hundred_groups_is_not_nothing_lost() -> None:
    right, group = np.ones(1000, dtype=bool), np.repeat(np.arange(100), 10)
    assert PairedLoss(right, group).high(right) == pytest.approx(student(99) ** 2 / 100)


def test_what_both_get_wrong_does_not_widen_the_bound() -> None:
    rng = np.random.default_rng(3)
    whole = rng.random(2000) < 0.7
    other = whole ^ (rng.random(2000) < 0.02)
    group = np.arange(2000)
    bound = PairedLoss(whole, group).high(other)
    unpaired = wilson_low(float(whole.mean()), 2000) - float(other.mean())
    assert bound < 0.04
    assert whole.mean() - wilson_low(float(other.mean()), 2000) > bound > unpaired


def test_copies_of_the_same_samples_do_not_tighten_the_bound() -> None:
    rng = np.random.default_rng(4)
    whole, other = rng.random(300) < 0.9, rng.random(300) < 0.88
    once = PairedLoss(whole, np.arange(300)).high(other)
    often = PairedLoss(np.repeat(whole, 8), np.repeat(np.arange(300), 8)).high(np.repeat(other, 8))
    assert often == pytest.approx(once)


def test_the_bound_holds_as_often_as_it_says() -> None:
    """Groups of 5 alike, whose loss is 3 %: of 400 bounds, 20 may lie below it; Student's would in 64."""
    rng = np.random.default_rng(5)
    group, held = np.repeat(np.arange(200), 5), 0
    for _ in range(400):
        whole = np.repeat(rng.random(200) < 0.9, 5)
        other = whole & ~np.repeat(rng.random(200) < 0.03 / 0.9, 5)
        held += PairedLoss(whole, group).high(other) >= 0.03
    assert held / 400 > 0.92


def test_one_group_alone_tells_nothing() -> None:
    assert PairedLoss(np.ones(10, dtype=bool), np.zeros(10, dtype=np.int64)).high(np.ones(10, dtype=bool)) == 1.0
