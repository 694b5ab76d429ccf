"""Plans do not flap."""

from collections.abc import Sequence

from offramp.clock import ManualClock
from offramp.plan import Plan
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.search import Search
from offramp.planning.strategies.steady import DWELL, Steady
from offramp.planning.strategies.strategy import Choice, Strategy
from offramp.records import Answered, Result
from offramp.units import Seconds
from tests.support.plans import a_candidate, a_profile, a_situation, some_grounds

LOCAL = a_candidate(2, codec="none", loss_high=0.0)
SENT = a_candidate(0, codec="jpeg:90", loss_high=0.0, payload=5000)
BREAK_EVEN = 1.62
"""Mbit/s at which both take 50 ms."""


def a_strategy(clock: ManualClock, dwell: float = DWELL) -> Steady:
    grounds = some_grounds(LOCAL, SENT, device=a_profile((0.0, 0.02, 0.05)), clock=clock)
    return Steady(grounds, Search(grounds), dwell=Seconds(dwell))


def followed(steady: Strategy, clock: ManualClock, mbits: Sequence[float]) -> list[Plan]:
    """One choice a second."""
    plans = []
    for mbit in mbits:
        plans.append(steady.choose(a_situation(mbit)).plan)
        clock.advance(Seconds(1.0))
    return plans


def test_noise_around_the_break_even_changes_nothing() -> None:
    clock = ManualClock()
    noisy = [BREAK_EVEN * factor for factor in (0.97, 1.03, 0.98, 1.02, 1.0) * 10]
    grounds = some_grounds(LOCAL, SENT, device=a_profile((0.0, 0.02, 0.05)))
    assert len(set(followed(Search(grounds), clock, noisy))) == 2
    assert len(set(followed(a_strategy(clock), clock, noisy))) == 1


def test_a_clear_gain_is_taken() -> None:
    clock = ManualClock()
    assert followed(a_strategy(clock), clock, [20.0, 20.0, 1.0, 20.0]) == [
        SENT.plan(),
        SENT.plan(),
        LOCAL.plan(),
        SENT.plan(),
    ]


def test_gains_alone_change_a_plan_once_per_dwell() -> None:
    clock = ManualClock()
    plans = followed(a_strategy(clock, dwell=5.0), clock, [1.0, 20.0, 20.0, 20.0, 20.0, 20.0])
    assert plans == [LOCAL.plan()] * 5 + [SENT.plan()]


def test_a_plan_that_has_become_infeasible_is_left_at_once() -> None:
    clock = ManualClock()
    plans = followed(a_strategy(clock, dwell=60.0), clock, [20.0, 0.0])
    assert plans == [SENT.plan(), LOCAL.plan()]


def test_what_is_kept_says_why() -> None:
    steady = a_strategy(ManualClock(), dwell=5.0)
    steady.choose(a_situation(1.0))
    assert steady.choose(a_situation(20.0)).why == "kept: the last change was 0.0 s ago, and plans stay for 5 s"
    assert "a change has to gain 5 %" in steady.choose(a_situation(BREAK_EVEN * 1.02)).why


def test_what_is_learned_is_handed_on() -> None:
    class Pupil(Strategy):
        learned = 0

        def choose(self, situation: Situation) -> Choice:
            return Choice(plan=LOCAL.plan(), forecast=None, why="it knows no other")

        def learn(self, results: Sequence[Result]) -> None:
            self.learned += len(results)

    pupil = Pupil()
    Steady(some_grounds(LOCAL), pupil).learn([Result(stream="", index=0, answered=Answered.DEVICE, label=1)])
    assert pupil.learned == 1


def test_steady_alone_is_around_search() -> None:
    grounds = some_grounds(LOCAL, SENT)
    for name in ("steady", "steady:search", "steady:steady:search"):
        assert open_strategy(name, grounds).choose(a_situation(20.0)).plan == SENT.plan()
