"""What risk control promises, it keeps; what is tuned by eye, is not kept."""

import numpy as np
import pytest

from offramp.errors import SettingsError
from offramp.exits.bounds import Floats
from offramp.exits.risk import Method, RiskLimit, by_unit, control

SPLITS, CALIBRATION = 200, 300
EPSILON, DELTA = 0.05, 0.1
STEPS = 24


def a_population(seed: int = 0, size: int = 40_000) -> Floats:
    """[size, STEPS] disagreements: from strict to lenient ever more samples leave, and err more often."""
    rng = np.random.default_rng(seed)
    sure_N = rng.random(size)
    wrong_N = rng.random(size) > sure_N**0.3
    thresholds_T = np.linspace(1.0, 0.0, STEPS)
    return ((sure_N[:, None] >= thresholds_T) & wrong_N[:, None]).astype(np.float64)


def risks(method: Method, population: Floats) -> Floats:
    """The true risk of the step that is chosen, over many draws of the calibration split."""
    true_T, rng = population.mean(axis=0), np.random.default_rng(1)
    limit = RiskLimit(epsilon=EPSILON, delta=DELTA, method=method)
    found = []
    for _ in range(SPLITS):
        losses_MT = population[rng.choice(len(population), CALIBRATION, replace=False)]
        step = control(losses_MT, limit).step
        found.append(0.0 if step is None else float(true_T[step]))
    return np.array(found)


@pytest.mark.parametrize("method", [Method.WSR, Method.LTT])
def test_a_promise_with_confidence_fails_in_at_most_delta_of_the_draws(method: Method) -> None:
    slack = 2 * np.sqrt(DELTA * (1 - DELTA) / SPLITS)
    assert (risks(method, a_population()) > EPSILON).mean() <= DELTA + slack


def test_a_promise_in_expectation_holds_on_average() -> None:
    assert risks(Method.CRC, a_population()).mean() <= EPSILON


def test_tuning_by_eye_fails_far_more_often() -> None:
    population, rng = a_population(), np.random.default_rng(1)
    true_T = population.mean(axis=0)
    failed = 0
    for _ in range(SPLITS):
        seen_T = population[rng.choice(len(population), CALIBRATION, replace=False)].mean(axis=0)
        failed += true_T[np.flatnonzero(seen_T <= EPSILON)[-1]] > EPSILON
    assert failed / SPLITS > 2 * DELTA


@pytest.mark.parametrize("method", list(Method))
def test_more_units_tell_more_about_the_same_step(method: Method) -> None:
    losses_MT, limit = np.tile([[0.0], [0.0], [0.0], [0.1]], (50, 1)), RiskLimit(epsilon=EPSILON, method=method)
    few, many = (control(np.tile(losses_MT, (times, 1)), limit) for times in (1, 20))
    assert few.risk_T == pytest.approx(many.risk_T)
    assert many.bound_T[0] < few.bound_T[0]


@pytest.mark.parametrize("method", list(Method))
def test_nothing_is_promised_where_nothing_holds(method: Method) -> None:
    assert control(np.ones((50, 3)), RiskLimit(epsilon=0.1, method=method)).step is None


@pytest.mark.parametrize("method", list(Method))
def test_steps_behind_the_first_that_fails_are_not_taken(method: Method) -> None:
    losses_MT = np.zeros((5_000, 3))
    losses_MT[:, 1] = 1.0
    found = control(losses_MT, RiskLimit(epsilon=0.05, method=method))
    assert found.step == 0


@pytest.mark.parametrize("method", list(Method))
def test_a_gap_that_may_be_a_gain_is_bounded_too(method: Method) -> None:
    rng = np.random.default_rng(4)
    gap_MT = rng.choice([-1.0, 0.0, 1.0], (3_000, 1), p=[0.02, 0.96, 0.02])
    limit = RiskLimit(epsilon=0.05, method=method, low=-1.0, high=1.0)
    found = control(gap_MT, limit)
    assert found.step == 0
    assert found.risk_T[0] == pytest.approx(gap_MT.mean())


def test_units_are_means_of_their_samples_in_the_order_of_appearance() -> None:
    losses_NT = np.array([[1.0], [0.0], [0.5], [1.0]])
    assert by_unit(losses_NT, np.array([7, 3, 3, 7])).tolist() == [[1.0], [0.25]]


def test_correlated_samples_counted_as_independent_break_the_promise_that_units_keep() -> None:
    rng = np.random.default_rng(5)
    limit = RiskLimit(epsilon=0.1, delta=0.1, method=Method.LTT)
    broken = {"samples": 0, "units": 0}
    for _ in range(SPLITS):
        # 40 scenes of 20 frames that err together; the true risk, 0.13, is above the limit.
        scenes_NT = np.repeat((rng.random((40, 1)) < 0.13).astype(float), 20, axis=0)
        broken["samples"] += control(scenes_NT, limit).step is not None
        broken["units"] += control(by_unit(scenes_NT, np.repeat(np.arange(40), 20)), limit).step is not None
    assert broken["units"] / SPLITS <= 0.1
    assert broken["samples"] / SPLITS > 0.15


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epsilon": 0.0}, "a limit of 0 is met by all losses, or by none"),
        ({"epsilon": 0.1, "delta": 1.0}, "a chance of 1 is none"),
        ({"epsilon": 0.1, "low": 1.0, "high": 1.0}, "leave no room"),
    ],
)
def test_a_promise_that_means_nothing_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RiskLimit(**wrong)  # type: ignore[arg-type]


def test_a_loss_outside_of_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="leave the range 0 to 1"):
        control(np.array([[-1.0]]), RiskLimit(epsilon=0.1))
