"""The expected calibration error, from its definition."""

import numpy as np
import pytest

from offramp.exits.reliability import reliability


def honest(count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    confidence_N = rng.random(count)
    return confidence_N, rng.random(count) < confidence_N


def test_confidences_that_mean_what_they_say_are_hardly_off() -> None:
    found = reliability(*honest())
    assert found.width_error < 0.01
    assert found.mass_error < 0.01


def test_overconfidence_is_the_error() -> None:
    confidence_N, right_N = honest()
    found = reliability(confidence_N * 0.5 + 0.5, right_N)
    assert found.width_error == pytest.approx(0.25, abs=0.01)
    assert found.mass_error == pytest.approx(0.25, abs=0.01)
    assert found.confidence > found.accuracy


def test_the_error_weighs_bins_by_their_samples() -> None:
    confidence_N = np.array([0.9, 0.9, 0.9, 0.2])
    found = reliability(confidence_N, np.array([True, True, False, False]), bins=2)
    assert found.width_error == pytest.approx((3 * abs(2 / 3 - 0.9) + 0.2) / 4)
    assert [one.samples for one in found.bins] == [1, 3]


def test_bins_of_equal_mass_hold_equally_many() -> None:
    confidence_N = np.concatenate([np.full(5, 0.1), np.linspace(0.9, 1.0, 10)])
    right_N = np.concatenate([np.ones(5, np.bool_), np.ones(10, np.bool_)])
    expected = np.mean([abs(1 - part.mean()) for part in np.array_split(np.sort(confidence_N), 3)])
    assert reliability(confidence_N, right_N, bins=3).mass_error == pytest.approx(float(expected))


def test_the_ends_of_the_range_have_their_bins() -> None:
    found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert [one.samples for one in found.bins] == [1, 1]
    assert found.width_error == 0.0
