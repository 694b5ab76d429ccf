import math

import pytest

from offramp_evaluation.metrics.prediction import prediction_error


def test_an_error_is_relative_to_what_came() -> None:
    found = prediction_error([0.11, 0.08, 0.1], [0.1, 0.1, 0.1])
    assert (found.stretches, found.median) == (3, pytest.approx(0.1))
    assert found.p95 == pytest.approx(0.19)


def test_nothing_foretold_is_no_error_of_zero() -> None:
    assert math.isnan(prediction_error([], []).median)


@pytest.mark.parametrize("measured", [[0.0, 0.1], [0.1]])
def test_each_prediction_needs_a_measured_time(measured: list[float]) -> None:
    with pytest.raises(ValueError, match="a positive measured time"):
        prediction_error([0.1, 0.1], measured)
