"""What every strategy of the catalogue owes; a new line in STRATEGIES is found here, and asked all of it."""

import math
from random import Random

import pytest

from offramp.planning.resolve import check
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import STRATEGIES, open_strategy
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.records import Answered, Result, Seconds, Timings
from offramp.units import BitsPerSecond
from tests.support.grounds import grounds_of_four_stages
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_situation

NEEDS_A_PARAMETER = {"fixed": "fixed:split=2, exit=confidence:0.9"}
"""What cannot be opened by its name alone."""
WITH_PARAMETERS = ("all-edge:jpeg", "splitee:window=20", "residual:steady:search", "residual:splitee-s", "steady:dads")
NAMES = (*(NEEDS_A_PARAMETER.get(name, name) for name in STRATEGIES), *WITH_PARAMETERS)

GROUNDS = {
    "four stages": grounds_of_four_stages(),
    "no branches": grounds_of_four_stages(
        a_candidate(0, codec="jpeg:90"), a_candidate(4, codec="none"), manifest=a_manifest(branches=())
    ),
    "one candidate": grounds_of_four_stages(a_candidate(4, codec="none")),
}

FOUR_STAGES = GROUNDS["four stages"]
Life = list[tuple[Situation, list[Result]]]
"""Period by period: what there was, and what became of the samples."""

each_strategy = pytest.mark.parametrize("name", NAMES)
each_life = pytest.mark.parametrize("seed", range(3))


@each_strategy
@pytest.mark.parametrize("grounds", GROUNDS.values(), ids=GROUNDS)
def test_it_opens_on_any_grounds_and_says_why_it_chooses(name: str, grounds: Grounds) -> None:
    if "fixed" in name and not grounds.manifest.branches:
        pytest.skip("the plan that was written asks a branch")
    choice = open_strategy(name, grounds).choose(a_situation())
    check(choice.plan, grounds.manifest)
    assert choice.why


@each_strategy
@each_life
def test_in_any_situation_and_after_any_results_the_bundle_can_follow_its_plan(name: str, seed: int) -> None:
    for choice in lived(name, a_life(seed))[1]:
        check(choice.plan, FOUR_STAGES.manifest)


@each_strategy
@each_life
def test_what_it_expects_is_a_number_and_the_parts_add_up_to_the_mean(name: str, seed: int) -> None:
    for told in (choice.forecast for choice in lived(name, a_life(seed))[1]):
        if told is not None:
            assert math.isfinite(told.mean)
            assert told.parts.total == pytest.approx(told.mean)
            assert min(told.parts.named().values()) >= -1e-12


@each_strategy
@each_life
def test_the_same_seed_and_the_same_life_lead_to_the_same_plans(name: str, seed: int) -> None:
    first, second = (lived(name, a_life(seed))[1] for _ in range(2))
    assert [choice.plan for choice in first] == [choice.plan for choice in second]


@each_strategy
@each_life
def test_asking_again_without_news_changes_nothing(name: str, seed: int) -> None:
    life = a_life(seed)
    strategy, _ = lived(name, life)
    assert strategy.choose(life[-1][0]).plan == strategy.choose(life[-1][0]).plan


@each_strategy
@each_life
def test_results_that_came_before_any_choice_do_no_harm(name: str, seed: int) -> None:
    strategy = open_strategy(name, FOUR_STAGES)
    strategy.learn([result for _, results in a_life(seed) for result in results])
    check(strategy.choose(a_situation()).plan, FOUR_STAGES.manifest)


def lived(name: str, life: Life) -> tuple[Strategy, list[Choice]]:
    """A fresh strategy, and what it chose on its way."""
    strategy, choices = open_strategy(name, FOUR_STAGES), []
    for situation, results in life:
        choices.append(strategy.choose(situation))
        strategy.learn(results)
    return strategy, choices


def a_life(seed: int, periods: int = 25) -> Life:
    draw = Random(seed)
    return [(any_situation(draw), [any_result(draw) for _ in range(draw.randrange(6))]) for _ in range(periods)]


def any_situation(draw: Random) -> Situation:
    """Outages, links of one bit and of a terabit a second, idle and hopeless devices."""
    bandwidth = draw.choice((0.0, 1.0, 1e12, 10 ** draw.uniform(3, 9)))
    spread = draw.choice((1.0, draw.uniform(1.0, 3.0)))
    return Situation(
        bandwidth=BitsPerSecond(bandwidth),
        bandwidth_low=BitsPerSecond(bandwidth / spread),
        bandwidth_high=BitsPerSecond(bandwidth * spread),
        round_trip=Seconds(draw.choice((0.0, draw.uniform(0.0, 2.0)))),
        round_trip_deviation=Seconds(draw.uniform(0.0, 0.5)),
        rate=draw.choice((0.0, 0.1, 200.0, draw.uniform(0.1, 200.0))),
        regular=draw.random() < 0.5,
        edge_wait=Seconds(draw.choice((0.0, draw.random()))),
        edge_slow=10 ** draw.uniform(-1, 2),
        device_slow=10 ** draw.uniform(-1, 2),
        price=draw.choice((0.0, draw.uniform(0.0, 10.0))),
        caution=draw.choice((0, draw.randrange(20))),
    )


def any_result(draw: Random) -> Result:
    """Whatever a device may report, rejected and degraded samples included."""
    answered = draw.choice(list(Answered))
    wait, head, encode, away, fallback = (Seconds(draw.choice((0.0, 10 ** draw.uniform(-4, 1)))) for _ in range(5))
    return Result(
        stream="a",
        index=draw.randrange(1_000),
        answered=answered,
        label=None if answered is Answered.REJECTED else 0,
        confidence=draw.choice((math.nan, draw.random())),
        exit=draw.choice((None, *range(5))),
        latency=Seconds(wait + head + encode + away + fallback),
        timings=Timings(wait=wait, head=head, encode=encode, away=away, fallback=fallback),
    )
