import math

import numpy as np
import pytest

from offramp.errors import SettingsError
from offramp.planning.strategies.bandit import Bandit

WORTH = (0.2, 0.8, 0.5, 0.3)


def play(bandit: Bandit, samples: int, worth: tuple[float, ...] = WORTH, seed: int = 0) -> list[int]:
    """Every arm pays 1 or nothing, 1 as often as it is worth."""
    coins = np.random.default_rng(seed)
    arms = []
    for _ in range(samples):
        arms.append(bandit.pick())
        bandit.note({arms[-1]: float(coins.random() < worth[arms[-1]])})
    return arms


def regret(arms: list[int]) -> float:
    return sum(max(WORTH) - WORTH[arm] for arm in arms)


def test_every_arm_is_played_once_first() -> None:
    assert sorted(play(Bandit(4), 4)) == [0, 1, 2, 3]


def test_the_index_is_that_of_ucb1() -> None:
    bandit = Bandit(2)
    for arm, reward in ((0, 0.4), (0, 0.8), (0, 0.6), (1, 0.0)):
        bandit.note({arm: reward})
    index = (0.6 + math.sqrt(math.log(5) / 3), 0.0 + math.sqrt(math.log(5) / 1))
    assert bandit.pick() == index.index(max(index))


def test_picking_again_without_news_picks_the_same() -> None:
    bandit = Bandit(4)
    play(bandit, 100)
    assert bandit.pick() == bandit.pick()


@pytest.mark.parametrize("seed", range(3))
def test_regret_grows_ever_slower(seed: int) -> None:
    arms = play(Bandit(4), 4_000, seed=seed)
    assert regret(arms[2_000:]) < 0.6 * regret(arms[:2_000])


def test_what_other_arms_would_have_earned_counts_for_them() -> None:
    bandit = Bandit(3)
    bandit.note({0: 0.1, 1: 0.9, 2: 0.2})
    assert bandit.pick() == 1


def test_what_is_forgotten_weighs_less() -> None:
    bandit = Bandit(1, window=4)
    bandit.note({0: 1.0})
    bandit.note({0: 0.0})
    assert bandit.means[0] == pytest.approx(0.75 / 1.75)


@pytest.mark.parametrize("tuning", [{"window": 1.0}, {"window": math.nan}, {"explore": -1.0}, {"explore": math.inf}])
def test_tunings_that_mean_nothing_are_refused(tuning: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="give"):
        Bandit(2, **tuning)
