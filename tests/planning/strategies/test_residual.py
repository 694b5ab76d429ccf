from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.planning.forecast import Forecast
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.residual import BOUND, Ratio, Residual
from offramp.planning.strategies.strategy import Choice, Strategy
from offramp.records import Answered, Result, Seconds, Timings
from tests.support.grounds import grounds_of_four_stages
from tests.support.plans import a_situation
from tests.support.worlds import World

GROUNDS = grounds_of_four_stages()
SENDS = "fixed:split=2, codec=affine8+zstd"
STAYS = "fixed:split=end"
LEAVES = "fixed:split=3, exit=confidence:0.85@1/0.85@2, codec=affine8+zstd"


def a_world(*, device: float = 1.0, away: float = 0.03) -> World:
    sure = np.linspace(0.3, 1.0, 50)
    return World(GROUNDS, np.stack([sure, sure], axis=1), sure, device=device, away=away)


def forecast(name: str, situation: Situation | None = None) -> Forecast:
    told = open_strategy(name, GROUNDS).choose(situation or a_situation()).forecast
    assert told is not None
    return told


def after(name: str, world: World, samples: int = 400) -> Forecast:
    """What is told of the plan after so many samples of this world."""
    strategy = open_strategy(name, GROUNDS)
    world.play(strategy, samples)
    told = strategy.choose(a_situation()).forecast
    assert told is not None
    return told


def away_of(told: Forecast) -> float:
    parts = told.parts
    return parts.total - parts.device_wait - parts.device - parts.encode


@pytest.mark.parametrize("plan", [SENDS, STAYS, LEAVES, "neurosurgeon", "dads"])
@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_device_that_is_30_per_cent_off_is_predicted_as_it_is(plan: str, factor: float) -> None:
    told = after(f"residual:{plan}", a_world(device=factor))
    assert told.parts.device == pytest.approx(factor * forecast(plan).parts.device, rel=0.02)


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_way_to_the_edge_that_is_30_per_cent_off_is_predicted_as_it_is(factor: float) -> None:
    away = factor * away_of(forecast(SENDS))
    assert away_of(after(f"residual:{SENDS}", a_world(away=away))) == pytest.approx(away, rel=0.02)


def test_what_one_plan_showed_helps_another_that_was_never_tried() -> None:
    residual = Residual(GROUNDS, lambda inside: InTurn(*(open_strategy(one, inside) for one in (SENDS, STAYS))))
    a_world(device=1.3).play(residual, 400, period=400)
    told = residual.choose(a_situation()).forecast
    assert told is not None
    assert told.parts.device == pytest.approx(1.3 * forecast(STAYS).parts.device, rel=0.03)


def test_plans_of_different_error_are_told_apart() -> None:
    """One is as predicted, the other takes half as long again."""
    residual = Residual(GROUNDS, lambda inside: InTurn(*(open_strategy(one, inside) for one in (SENDS, STAYS))))
    for turn in range(40):
        plan = residual.choose(a_situation()).plan
        residual.learn(a_world(device=1.5 if plan.codec == "none" else 1.0).run(plan, 20 * turn, 20))
    told = [residual.choose(a_situation()).forecast for _ in range(2)]
    assert told[0] is not None and told[1] is not None  # noqa: PT018 - both are known
    assert told[0].parts.device == pytest.approx(forecast(SENDS).parts.device, rel=0.05)
    assert told[1].parts.device == pytest.approx(1.5 * forecast(STAYS).parts.device, rel=0.05)


@pytest.mark.parametrize("name", ["search", SENDS, "neurosurgeon", "edgent", "dads"])
@pytest.mark.parametrize("mbit", [0.0, 0.5, 20.0])
def test_who_has_learned_nothing_changes_nothing(name: str, mbit: float) -> None:
    situation = a_situation(mbit, bandwidth_low=mbit * 0.8e6, bandwidth_high=mbit * 1.2e6, edge_wait=Seconds(0.001))
    inner, wrapped = (open_strategy(one, GROUNDS).choose(situation) for one in (name, f"residual:{name}"))
    assert wrapped == inner


def test_a_better_choice_follows_from_it() -> None:
    """By the profile the device is the faster place; it takes three times as long."""
    far_away = a_situation(200.0, rtt=0.06)
    strategy = open_strategy("residual:search", GROUNDS)
    first = strategy.choose(far_away).plan
    for turn in range(20):
        plan = strategy.choose(far_away).plan
        strategy.learn(a_world(device=3.0, away=0.067).run(plan, 20 * turn, 20))
    assert (first.split, strategy.choose(far_away).plan.split) == (4, 0)


def test_the_reason_tells_what_was_learned() -> None:
    strategy = open_strategy(f"residual:{STAYS}", GROUNDS)
    a_world(device=2.0).play(strategy, 500)
    assert "1.9" in strategy.choose(a_situation()).why


def test_one_stall_is_one_sample() -> None:
    strategy = open_strategy(f"residual:{SENDS}", GROUNDS)
    world = a_world(away=away_of(forecast(SENDS)))
    world.play(strategy, 200)
    world.away = 1.0
    strategy.learn(world.run(strategy.choose(a_situation()).plan, 0, 1))
    told = strategy.choose(a_situation()).forecast
    assert told is not None
    assert away_of(told) < 1.02 * away_of(forecast(SENDS))


@given(samples=st.lists(st.tuples(st.floats(0, 1e6), st.floats(1e-6, 1e3)), max_size=50))
def test_a_ratio_stays_within_its_bound(samples: list[tuple[float, float]]) -> None:
    ratio = Ratio()
    for measured, predicted in samples:
        ratio.note(measured, predicted)
    assert 1 / BOUND * (1 - 1e-9) <= ratio.beside() <= BOUND * (1 + 1e-9)


@settings(deadline=None)
@given(away=st.floats(0.0, 100.0), head=st.floats(0.0, 100.0), answered=st.sampled_from(Answered))
def test_whatever_was_measured_the_situation_stays_one(away: float, head: float, answered: Answered) -> None:
    residual = Residual(GROUNDS, lambda inside: open_strategy(SENDS, inside))
    situation = a_situation()
    residual.choose(situation)
    timings = Timings(head=Seconds(head), away=Seconds(away))
    label = None if answered is Answered.REJECTED else 0
    residual.learn([Result(stream="a", index=0, answered=answered, label=label, exit=4, timings=timings)] * 100)
    seen = residual.correct(situation)
    assert situation.bandwidth / BOUND <= seen.bandwidth <= situation.bandwidth * BOUND
    assert 1 / BOUND <= seen.device_slow <= BOUND


def test_an_edge_that_was_given_up_early_says_nothing_about_the_way_to_it() -> None:
    strategy = open_strategy(f"residual:{SENDS}", GROUNDS)
    strategy.choose(a_situation())
    timings = Timings(head=Seconds(0.025), encode=Seconds(0.0005), away=Seconds(0.001))
    lost = Result(stream="a", index=0, answered=Answered.DEGRADED, label=0, exit=2, timings=timings)
    strategy.learn([lost] * 100)
    told = strategy.choose(a_situation()).forecast
    assert told is not None
    assert away_of(told) == pytest.approx(away_of(forecast(SENDS)))


class InTurn(Strategy):
    """Plays one after the other."""

    def __init__(self, *inner: Strategy) -> None:
        self._inner, self._turn = inner, -1

    def choose(self, situation: Situation) -> Choice:
        self._turn += 1
        return self._inner[self._turn % len(self._inner)].choose(situation)

    def learn(self, results: Sequence[Result]) -> None:
        """Nothing."""
