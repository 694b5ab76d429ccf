from collections.abc import Sequence

import pytest

from offramp.measure.link import LinkEstimate, LinkEstimator
from offramp.plan import Plan
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice
from offramp.records import Answered, EdgeTimings, Result, Timings
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay.drivers import Foreseeing, Seen, StandingClock, Strategic
from offramp_evaluation.traces import generate


class Listening:
    """A strategy that remembers what it was told."""

    def __init__(self) -> None:
        self.situations: list[Situation] = []
        self.results: list[Result] = []

    def choose(self, situation: Situation) -> Choice:
        self.situations.append(situation)
        return Choice(plan=Plan(split=1), forecast=None, why="")

    def learn(self, results: Sequence[Result]) -> None:
        self.results.extend(results)


def a_link_estimate() -> LinkEstimate:
    """Of 1 Mbit/s and 40 ms, after ten answers."""
    link = LinkEstimator()
    for number in range(10):
        link.sent(number, 5000, Seconds(float(number)))
        link.answered(number, Seconds(0.0), Seconds(number + 0.04 + 8 * 5000 / 1e6))
    estimate = link.estimate(Seconds(10.0))
    assert estimate is not None
    return estimate


def told(link: LinkEstimate | None, *, lost: bool = False, now: float = 10.0) -> Situation:
    strategy, clock = Listening(), StandingClock()
    Strategic(strategy, clock, rate=8.0, regular=False).choose(Seen(now=Seconds(now), link=link, lost=lost))
    assert clock.now() == now
    return strategy.situations[0]


def test_a_strategy_is_told_what_the_device_believes_about_its_link() -> None:
    situation = told(a_link_estimate())
    assert situation.bandwidth == pytest.approx(1e6, rel=0.1)
    assert (situation.rate, situation.regular) == (8.0, False)


def test_without_a_connection_there_is_no_bandwidth_whatever_was_believed() -> None:
    assert told(a_link_estimate(), lost=True).bandwidth == 0.0


def test_before_anything_is_known_a_link_is_assumed_not_looked_up() -> None:
    assert told(None).bandwidth == pytest.approx(10e6)


def test_waiting_at_the_edge_is_learned_from_answers() -> None:
    strategy = Listening()
    driver = Strategic(strategy, StandingClock(), rate=8.0)
    edge = EdgeTimings(queue=Seconds(0.1), decode=Seconds(0.0), compute=Seconds(0.0), batch=1)
    result = Result(stream="a", index=0, answered=Answered.EDGE, label=1, timings=Timings(edge=edge))
    for _ in range(20):
        driver.learn([result])
    driver.choose(Seen(now=Seconds(1.0), link=None, lost=False))
    assert strategy.situations[0].edge_wait == pytest.approx(0.1, rel=0.01)
    assert len(strategy.results) == 20


def test_the_oracle_is_told_what_the_link_will_carry_until_the_next_choice() -> None:
    strategy = Listening()
    rates = [(Seconds(1.5), BitsPerSecond(4e6)), (Seconds(100), BitsPerSecond(0))]
    driver = Foreseeing(strategy, generate.step(rates, delay=Seconds(0.02)), rate=8.0)
    for now in (0.0, 1.0, 2.0):
        driver.choose(Seen(now=Seconds(now), link=None, lost=False))
    assert [situation.bandwidth for situation in strategy.situations] == pytest.approx([4e6, 2e6, 0.0])
    assert strategy.situations[0].round_trip == pytest.approx(0.04)
