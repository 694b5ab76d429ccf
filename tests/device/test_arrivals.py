"""How often samples arrive, from when they were due."""

import numpy as np
import pytest

from offramp.units import Seconds
from offramp_device.arrivals import STOPPED, Arrivals


def after(times: list[float]) -> Arrivals:
    arrivals = Arrivals()
    for time in times:
        arrivals.note(Seconds(time))
    return arrivals


def test_a_camera_is_known_after_two_frames() -> None:
    arrivals = after([5.0, 5.1])
    assert arrivals.rate(Seconds(5.1)) == pytest.approx(10)
    assert arrivals.regular


def test_a_rate_that_changes_is_followed() -> None:
    arrivals = after([*np.arange(0, 5, 0.1), *np.arange(5, 10, 0.05)])
    assert arrivals.rate(Seconds(10.0)) == pytest.approx(20, rel=0.02)


def test_random_arrivals_are_not_in_step() -> None:
    gaps = np.random.default_rng(3).exponential(0.1, 200)
    assert not after(gaps.cumsum().tolist()).regular


@pytest.mark.parametrize("times", [[], [7.0]])
def test_before_two_arrivals_there_is_no_rate(times: list[float]) -> None:
    assert after(times).rate(Seconds(8.0)) == 0


def test_a_stream_that_stops_fades() -> None:
    arrivals = after([0.0, 0.1, 0.2])
    assert arrivals.rate(Seconds(0.2 + 0.9 * STOPPED * 0.1)) == pytest.approx(10)
    assert arrivals.rate(Seconds(10.2)) == pytest.approx(0.1)


def test_arrivals_that_come_late_do_not_turn_time_back() -> None:
    assert after([0.0, 0.1, 0.05, 0.2]).rate(Seconds(0.2)) > 0
