import math

import pytest

from offramp.errors import PlanError
from offramp.plan import ExitRule
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.units import BitsPerSecond, Seconds
from tests.support.plans import a_candidate, a_profile, some_candidates

SLOW = a_profile((0.0, 0.100, 0.300))
FAST = a_profile((0.0, 0.001, 0.003))


def situation(mbit: float = 10.0, *, round_trip: float = 0.02, rate: float = 1.0, regular: bool = True) -> Situation:
    return Situation(bandwidth=BitsPerSecond(mbit * 1e6), round_trip=Seconds(round_trip), rate=rate, regular=regular)


def test_latency_is_the_sum_of_where_the_time_goes() -> None:
    model = CostModel(some_candidates(a_candidate(split=1, payload=12_500 - 54)), SLOW, FAST)
    transmit = 0.1  # 12,500 bytes with framing, at 1 Mbit/s
    device = 0.100 + 0.001
    waits = device * device / (2 * (1 - device)) + transmit * transmit / (2 * 0.9)  # arrivals at random, one a second
    expected = device + transmit + waits + 0.02 + 0.001 + 0.002
    assert model.latency(situation(mbit=1.0, regular=False))[0] == pytest.approx(expected, rel=1e-3)


def test_an_exit_spares_the_share_that_leaves() -> None:
    rule = ExitRule(policy="confidence", thresholds=((1, 0.9),))
    leaving = a_candidate(split=2, codec="none", exit=rule, reach=(1.0,), offload=0.25)
    staying = a_candidate(split=2, codec="none", offload=1.0)
    model = CostModel(some_candidates(leaving, staying), SLOW, FAST)
    left, stayed = model.latency(situation())
    assert left == pytest.approx(0.100 + 0.001 + 0.25 * 0.200)
    assert stayed == pytest.approx(0.300)


def test_a_plan_that_offers_more_than_the_link_carries_is_infeasible() -> None:
    model = CostModel(some_candidates(a_candidate(split=0, codec="jpeg:90", payload=20_000)), SLOW, FAST)
    assert math.isfinite(model.latency(situation(mbit=2.0, rate=10.0))[0])
    assert math.isinf(model.latency(situation(mbit=1.0, rate=10.0))[0])


def test_a_plan_that_the_device_cannot_keep_up_with_is_infeasible() -> None:
    model = CostModel(some_candidates(a_candidate(split=2, codec="none")), SLOW, FAST)
    assert math.isinf(model.latency(situation(rate=4.0))[0])


def test_in_an_outage_the_device_is_left_to_itself() -> None:
    remote, local = (
        a_candidate(split=0, codec="jpeg:90", accuracy=0.95),
        a_candidate(split=2, codec="none", accuracy=0.8),
    )
    model = CostModel(some_candidates(remote, local), SLOW, FAST)
    chosen, latency = model.choose(situation(mbit=0.0), accuracy_floor=0.9)
    assert (chosen, latency) == (local, pytest.approx(0.300))


def test_the_cheapest_plan_that_holds_the_floor_is_chosen() -> None:
    quick, right = a_candidate(split=1, accuracy=0.8, payload=10), a_candidate(split=1, accuracy=0.93, payload=4000)
    model = CostModel(some_candidates(quick, right), SLOW, FAST)
    assert model.choose(situation(), accuracy_floor=0.9)[0] is right
    assert model.choose(situation(), accuracy_floor=0.7)[0] is quick


def test_nothing_feasible_is_an_error_that_names_the_rate() -> None:
    model = CostModel(some_candidates(a_candidate(split=2, codec="none")), SLOW, FAST)
    with pytest.raises(PlanError, match="4 samples a second"):
        model.choose(situation(mbit=0.0, rate=4.0), accuracy_floor=0.0)
