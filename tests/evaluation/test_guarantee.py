"""The benchmark of guarantees computes splits side by side; one by one, the deployed code takes the same rules."""

import numpy as np
import pytest

from benchmarks.guarantee import (
    Population,
    drawn,
    study,
    taken_by_betting,
    taken_by_crc,
    taken_by_test,
    taken_naively,
)
from offramp.exits.losses import Loss
from offramp.exits.risk import Method, RiskLimit, control

EPSILON, DELTA = 0.1, 0.1
COUNT, SIZE, SPLITS, STEPS = 3_000, 400, 40, 15


@pytest.fixture(scope="module")
def losses() -> np.ndarray:
    rng = np.random.default_rng(0)
    sure_N = rng.random(COUNT)
    wrong_N = rng.random(COUNT) > sure_N**0.4
    return ((sure_N[:, None] >= np.linspace(1, 0, STEPS)) & wrong_N[:, None]).astype(np.float64)


@pytest.fixture(scope="module")
def chosen() -> np.ndarray:
    return drawn(COUNT, SIZE, SPLITS, seed=1)


@pytest.mark.parametrize("method", list(Method))
def test_splits_side_by_side_equal_the_deployed_code(losses: np.ndarray, chosen: np.ndarray, method: Method) -> None:
    limit = RiskLimit(epsilon=EPSILON, delta=DELTA, method=method)
    seen_RT = np.stack([losses[chosen_M].sum(axis=0) for chosen_M in chosen])
    taken_R = {
        Method.LTT: lambda: taken_by_test(seen_RT, SIZE, limit),
        Method.WSR: lambda: taken_by_betting(losses, chosen, limit),
        Method.CRC: lambda: taken_by_crc(seen_RT / SIZE, SIZE, limit),
    }[method]()
    one_by_one = [control(losses[chosen_M], limit).step for chosen_M in chosen]
    assert taken_R.tolist() == [-1 if step is None else step for step in one_by_one]


def test_naive_tuning_takes_the_most_lenient_step_that_looks_good() -> None:
    mean_RT = np.array([[0.0, 0.2, 0.1, 0.3], [0.2, 0.2, 0.2, 0.2]])
    assert taken_naively(mean_RT, RiskLimit(epsilon=0.1)).tolist() == [2, -1]


def test_only_naive_tuning_breaks_its_promise_more_often_than_delta(losses: np.ndarray, chosen: np.ndarray) -> None:
    population = Population(
        rules=(),
        losses={Loss.DISAGREEMENT: losses},
        leave_T=np.linspace(0, 1, STEPS),
        operations_T=np.linspace(1, 0, STEPS),
    )
    above = {row.method: row.above for row in study(population, Loss.DISAGREEMENT, chosen, EPSILON, DELTA)}
    slack = 2 * (DELTA * (1 - DELTA) / SPLITS) ** 0.5
    assert max(above[Method.LTT], above[Method.WSR]) <= DELTA + slack < above["naive"]


def test_a_split_draws_no_sample_twice(chosen: np.ndarray) -> None:
    assert all(len(set(chosen_M.tolist())) == SIZE for chosen_M in chosen)
