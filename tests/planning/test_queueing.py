"""Against a simulated queue: the approximation is to be good where plans are chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.planning.queueing import FULL, irregularity, waiting

LONG = 200_000


def simulated(gaps_N: np.ndarray, service_N: np.ndarray) -> float:
    """Mean wait, by Lindley's recursion written as a running minimum."""
    steps_N = np.concatenate(([0.0], np.cumsum(service_N[:-1] - gaps_N[1:])))
    return float((steps_N - np.minimum.accumulate(steps_N)).mean())


def predicted(rate: float, service_N: np.ndarray, arrival_variation: float) -> float:
    mean, variation = service_N.mean(), service_N.var() / service_N.mean() ** 2
    irregular = irregularity(arrival_variation, np.array([variation]))
    return float(waiting(np.array([rate * mean]), np.array([mean]), irregular, overload=np.inf)[0])


@pytest.mark.parametrize("load", [0.3, 0.6, 0.85])
def test_random_arrivals_wait_as_in_an_m_g_1_queue(load: float) -> None:
    rng = np.random.default_rng(1)
    service_N = rng.choice([0.2, 1.0, 2.0], LONG) * load
    gaps_N = rng.exponential(service_N.mean() / load, LONG)
    assert predicted(load / service_N.mean(), service_N, 1.0) == pytest.approx(simulated(gaps_N, service_N), rel=0.1)


@pytest.mark.parametrize("load", [0.6, 0.75, 0.85])
def test_frames_in_step_wait_less(load: float) -> None:
    rng = np.random.default_rng(2)
    service_N = np.where(rng.random(LONG) < 0.5, 0.1, 1.9) * load  # every other one takes longer than a period
    found = simulated(np.ones(LONG), service_N)
    assert predicted(1.0, service_N, 0.0) == pytest.approx(found, abs=0.2 * service_N.mean())
    assert predicted(1.0, service_N, 0.0) < predicted(1.0, service_N, 1.0)


@given(rate=st.floats(0.0, 100.0), service=st.floats(0.0, 0.1), variation=st.floats(0.0, 3.0))
def test_a_wait_is_finite_until_the_resource_is_overloaded(rate: float, service: float, variation: float) -> None:
    irregular = irregularity(0.0, np.array([variation]))
    found = waiting(np.array([rate * service]), np.array([service]), irregular, overload=np.inf)[0]
    assert found >= 0
    assert np.isinf(found) == (rate * service >= FULL)
