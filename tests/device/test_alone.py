"""A device that nobody steers chooses by what it has measured."""

from dataclasses import replace

import pytest

from offramp.clock import ManualClock
from offramp.errors import SettingsError, UnknownNameError
from offramp.measure.link import LinkEstimate
from offramp.plan import Plan
from offramp.planning.objective import parse_objective
from offramp.planning.resolve import resolve
from offramp.telemetry import DeviceReport
from offramp.units import BitsPerSecond, Seconds
from offramp_device.alone import EDGE_FASTER, Alone, guessed_edge
from tests.support.grounds import grounds_of_four_stages
from tests.support.plans import a_profile

GROUNDS = grounds_of_four_stages()


def an_alone(strategy: str = "search", objective: str = "drop=any") -> Alone:
    return Alone(
        GROUNDS.manifest, GROUNDS.candidates, GROUNDS.device, parse_objective(objective), strategy, ManualClock()
    )


def a_link(bandwidth: float, edge: float = 0.001) -> LinkEstimate:
    return LinkEstimate(
        bandwidth=BitsPerSecond(bandwidth),
        bandwidth_low=BitsPerSecond(0.9 * bandwidth),
        bandwidth_high=BitsPerSecond(1.1 * bandwidth),
        round_trip=Seconds(0.001),
        round_trip_deviation=Seconds(0.0001),
        edge=Seconds(edge),
        age=Seconds(0.1),
    )


def chosen(alone: Alone, link: LinkEstimate | None, *, edge: str = "a:1", caution: int = 0, slow: float = 1.0) -> Plan:
    report = DeviceReport(link=link, rate=5.0, edge=edge)
    paces = {name: slow * cost.median for name, cost in GROUNDS.device.segments.items()}
    return alone.choose(report, regular=True, caution=caution, paces=paces).plan


def share_sent(plan: Plan) -> float:
    return next(
        one.offload * (one.codec != "none") for one in GROUNDS.candidates.candidates if str(one.plan()) == str(plan)
    )


def test_a_good_link_is_used() -> None:
    assert share_sent(chosen(an_alone(), a_link(50e6))) == 1.0


@pytest.mark.parametrize(
    ("link", "edge"), [(None, ""), (None, "a:1"), (a_link(50e6), "")], ids=["no edge", "nothing known", "lost"]
)
def test_without_a_link_the_plan_needs_none(link: LinkEstimate | None, edge: str) -> None:
    """An estimate of a connection that is lost is of no use, good as it was."""
    plan = chosen(an_alone(), link, edge=edge)
    assert (plan.split, plan.codec) == (GROUNDS.manifest.end, "none")


def test_a_thin_link_is_spared() -> None:
    assert share_sent(chosen(an_alone(), a_link(20e3))) <= 0.05


def test_an_edge_that_turns_out_to_be_slow_is_asked_for_less() -> None:
    alone = an_alone()
    before = chosen(alone, a_link(50e6))
    for _ in range(30):
        alone.learn(before, a_link(50e6, edge=0.3))
    assert share_sent(chosen(alone, a_link(50e6, edge=0.3))) < share_sent(before)


def test_what_is_learned_of_an_edge_needs_an_answer_of_it() -> None:
    alone = an_alone()
    before = chosen(alone, a_link(50e6))
    alone.learn(resolve("split=end", GROUNDS.manifest), a_link(50e6, edge=9.0))
    alone.learn(before, a_link(50e6, edge=0.0))
    alone.learn(before, None)
    assert chosen(alone, a_link(50e6)) == before


def test_a_board_that_throttles_lets_the_edge_do_more() -> None:
    """On this link the first stages pay, until they take ten times as long."""
    before, after = (chosen(an_alone(), a_link(300e3), slow=slow) for slow in (1.0, 10.0))
    assert after.split < before.split


def test_caution_keeps_lenient_plans_out() -> None:
    alone, link = an_alone(objective="minimise=bytes, drop=any"), a_link(5e6)
    assert chosen(alone, link, caution=13).exit.thresholds == ()


def test_a_guessed_edge_is_no_emulated_board() -> None:
    board = a_profile().slowed(20.0)
    edge = guessed_edge(board)
    assert edge.segments["0-2"].median == pytest.approx(board.segments["0-2"].median / 20 / EDGE_FASTER)


@pytest.mark.parametrize(
    ("named", "error"),
    [({"strategy": "guessing"}, UnknownNameError), ({"objective": "minimise=energy"}, SettingsError)],
)
def test_what_cannot_be_chosen_by_is_refused_at_the_start(named: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        an_alone(**named)


def test_a_plan_comes_with_what_its_exits_promise() -> None:
    candidates = GROUNDS.candidates.candidates
    alone = Alone(
        GROUNDS.manifest,
        replace(GROUNDS.candidates, candidates=tuple(replace(one, agreement=0.9) for one in candidates)),
        GROUNDS.device,
        parse_objective(""),
        "search",
        ManualClock(),
    )
    assert alone.agreement(candidates[0].plan()) == 0.9
    assert alone.agreement(resolve("split=0, codec=raw", GROUNDS.manifest)) == 0.0
