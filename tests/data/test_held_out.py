"""The half that is kept for certificates is the same for everybody, and of whole units."""

import numpy as np

from offramp.data.held_out import held_out, to_fit


def test_about_half_of_the_units_are_kept() -> None:
    for first in (0, 5_000, 10**12):
        assert 0.45 < held_out(first + np.arange(2_000)).mean() < 0.55


def test_a_unit_is_kept_or_not_as_a_whole() -> None:
    unit_N = np.repeat(np.arange(100), 7)
    kept_N = held_out(unit_N)
    assert all(len(set(kept_N[unit_N == unit])) == 1 for unit in range(100))


def test_who_saw_fewer_samples_keeps_the_same_ones() -> None:
    some = np.random.default_rng(0).permutation(1_000)[:300]
    assert held_out(some).tolist() == held_out(np.arange(1_000))[some].tolist()


def test_too_few_units_for_two_halves_are_all_there_to_fit() -> None:
    kept = np.flatnonzero(held_out(np.arange(100)))[:1]
    assert to_fit(kept).all()
    assert (to_fit(np.arange(100)) == ~held_out(np.arange(100))).all()
