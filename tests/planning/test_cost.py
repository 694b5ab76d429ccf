import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.measure.energy import RADIOS, EnergyModel
from offramp.plan import ExitRule, Plan
from offramp.planning.cost import CostModel
from offramp.planning.objective import Goal, Objective
from offramp.planning.situation import Situation
from offramp.records import Revision
from offramp.units import BitsPerSecond, Seconds
from tests.support.plans import a_candidate, a_profile, an_exit, exactly, some_candidates

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


ITEMS = (
    a_candidate(split=0, codec="jpeg:90", payload=3000),
    a_candidate(split=1, payload=2000, exit=an_exit(1), reach=(1.0,), offload=0.4),
    a_candidate(split=2, codec="none", exit=an_exit(1), reach=(1.0,), offload=0.4),
    a_candidate(split=2, codec="none"),
)
POWER = EnergyModel(compute_w=3.0, radio=RADIOS["lte"])
MODEL = CostModel(some_candidates(*ITEMS), a_profile((0.0, 0.020, 0.070)), FAST, POWER)

SITUATIONS = st.builds(
    lambda mbit, spread, **known: Situation(
        bandwidth=BitsPerSecond(mbit * 1e6),
        bandwidth_low=BitsPerSecond(mbit * 1e6 / spread),
        bandwidth_high=BitsPerSecond(mbit * 1e6 * spread),
        **known,
    ),
    mbit=st.floats(0.05, 100.0),
    spread=st.floats(1.0, 4.0),
    round_trip=st.floats(0.0, 0.2).map(Seconds),
    rate=st.floats(0.0, 60.0),
    regular=st.booleans(),
    edge_wait=st.floats(0.0, 0.05).map(Seconds),
    edge_slow=st.floats(0.5, 5.0),
    device_slow=st.floats(0.5, 3.0),
)


@given(now=SITUATIONS)
def test_the_parts_of_a_feasible_plan_add_up_to_its_mean(now: Situation) -> None:
    for place in range(len(ITEMS)):
        forecast = MODEL.forecast(place, now)
        if forecast.feasible:
            assert forecast.parts.total == pytest.approx(forecast.mean)


@given(now=SITUATIONS)
def test_one_plan_is_forecast_as_all_are_costed(now: Situation) -> None:
    objective = Objective(minimise=Goal.P95, hits=0.5, energy=1.0)
    costs = MODEL.costs(now, objective)
    assert costs.p95_C is not None
    assert costs.hits_C is not None
    assert costs.energy_C is not None
    for place in range(len(ITEMS)):
        forecast = MODEL.forecast(place, now)
        assert forecast.feasible == costs.feasible_C[place]
        assert forecast.p95 == pytest.approx(costs.p95_C[place])
        assert forecast.hits == pytest.approx(costs.hits_C[place])
        assert forecast.energy == pytest.approx(costs.energy_C[place])
        if forecast.feasible:
            assert forecast.mean == pytest.approx(costs.mean_C[place])
            assert MODEL.latency(now)[place] == costs.mean_C[place]


@given(now=SITUATIONS, factor=st.floats(1.0, 10.0))
def test_more_bandwidth_slows_nothing(now: Situation, factor: float) -> None:
    faster = replace(
        now,
        bandwidth=BitsPerSecond(now.bandwidth * factor),
        bandwidth_low=BitsPerSecond(now.slowest * factor),
        bandwidth_high=BitsPerSecond(now.fastest * factor),
    )
    before_C, after_C = MODEL.latency(now), MODEL.latency(faster)
    assert (after_C <= before_C * (1 + 1e-9)).all()


@given(now=SITUATIONS)
def test_hits_are_a_share_and_p95_is_not_below_what_most_take(now: Situation) -> None:
    for place in range(len(ITEMS)):
        forecast = MODEL.forecast(place, now)
        assert -1e-9 <= forecast.hits <= 1 + 1e-9
        if forecast.feasible:
            assert forecast.p95 >= 0.5 * forecast.mean


def test_p95_and_hits_are_those_of_the_mixture() -> None:
    """Six of ten leave after 21 ms; of the others all pay 31.5 ms at 8 Mbit/s more or less, by their payload."""
    item = a_candidate(split=1, payload=20_000, payload_p95=24_000, exit=an_exit(1), reach=(1.0,), offload=0.4)
    model = CostModel(some_candidates(item), a_profile((0.0, 0.020, 0.070)), FAST)
    now = situation(mbit=8.0, rate=0.0)
    mean = 0.022 + 8 * (20_000 + 56) / 8e6 + 0.02 + 0.001 + 0.002
    spread = (24_000 - 20_000) * 8 / 8e6 / 1.645
    rng = np.random.default_rng(0)
    drawn = np.where(rng.random(400_000) < 0.6, 0.021, rng.normal(mean, spread, 400_000))
    found = model.forecast(0, now, Seconds(0.066))
    assert found.hits == pytest.approx((drawn <= 0.066).mean(), abs=0.01)
    assert model.forecast(0, now).p95 == pytest.approx(np.quantile(drawn, 0.95), rel=0.01)


def test_when_hardly_anybody_is_sent_p95_is_that_of_the_exit() -> None:
    item = a_candidate(split=1, exit=an_exit(1), reach=(1.0,), offload=0.04)
    model = CostModel(some_candidates(item), a_profile((0.0, 0.020, 0.070)), FAST)
    assert model.forecast(0, situation(mbit=0.5)).p95 == pytest.approx(0.021)


def test_an_uncertain_link_costs_more_than_its_mean_where_the_deadline_does_not_bite() -> None:
    model = CostModel(some_candidates(a_candidate(split=0, codec="jpeg:90", payload=10_000)), SLOW, FAST)
    sure = situation(mbit=1.0, rate=0.0)
    slow = replace(sure, bandwidth_low=BitsPerSecond(0.5e6))
    assert model.latency(slow)[0] > model.latency(sure)[0]
    assert model.forecast(0, slow).p95 > model.forecast(0, sure).p95


def test_what_comes_after_the_deadline_is_answered_at_the_deadline() -> None:
    """On the slow one of the three links, a sample would take 1.6 s."""
    model = CostModel(some_candidates(a_candidate(split=0, codec="jpeg:90", payload=50_000)), SLOW, FAST)
    unsure = replace(situation(mbit=1.0, rate=0.0), bandwidth_low=BitsPerSecond(0.4e6))
    likely = model.latency(situation(mbit=1.0, rate=0.0))[0]
    assert model.latency(unsure)[0] == pytest.approx(5 / 6 * likely + 1 / 6 * 1.0)


def test_a_plan_that_comes_back_late_as_a_rule_is_infeasible() -> None:
    model = CostModel(some_candidates(a_candidate(split=0, codec="jpeg:90", payload=50_000)), SLOW, FAST)
    assert math.isinf(model.latency(situation(mbit=1.0, rate=0.0), Seconds(0.3))[0])


def test_caution_leaves_only_careful_exits() -> None:
    lenient, strict = (
        a_candidate(split=2, codec="none", exit=an_exit(1, threshold), reach=(1.0,), offload=0.4)
        for threshold in (0.5, 0.97)
    )
    model = CostModel(some_candidates(lenient, strict, a_candidate(split=2, codec="none")), SLOW, FAST)
    assert model.costs(situation()).feasible_C.tolist() == [True, True, True]
    assert model.costs(replace(situation(), caution=4)).feasible_C.tolist() == [False, True, True]


def test_new_profiles_retime_the_same_candidates() -> None:
    slower = MODEL.retimed(device=a_profile((0.0, 0.040, 0.140)))
    expected = CostModel(some_candidates(*ITEMS), a_profile((0.0, 0.040, 0.140)), FAST, POWER)
    assert slower.latency(situation()).tolist() == expected.latency(situation()).tolist()


def test_a_slow_device_is_one_whose_profile_is_slow() -> None:
    here = replace(situation(rate=0.0), device_slow=2.0)
    codecs = dict.fromkeys(("0:jpeg:90", "1:affine8+zstd"), exactly(0.002))
    profile = replace(a_profile((0.0, 0.040, 0.140), branch=0.002), encode=codecs)
    there = CostModel(some_candidates(*ITEMS), profile, FAST)
    assert MODEL.latency(here).tolist() == pytest.approx(there.latency(situation(rate=0.0)).tolist())


def test_energy_is_computing_and_sending() -> None:
    forecast = MODEL.forecast(0, situation(mbit=2.0, rate=0.0))
    bytes_sent = 3000 + 56
    seconds = 8 * bytes_sent / 2e6
    assert forecast.energy == pytest.approx(3.0 * 0.001 + 1.28804 * seconds + 438.39e-9 * 8 * bytes_sent, rel=1e-3)


def test_plans_are_found_whatever_their_revision() -> None:
    assert MODEL.find(ITEMS[2].plan(Revision(3, 7))) == 2


def test_a_plan_that_asks_more_of_the_edge_is_no_candidate() -> None:
    """Its forecast would be that of the same plan without."""
    plan = ITEMS[2].plan(Revision(3, 7))
    rule = ExitRule(policy="confidence", thresholds=((plan.split + 1, 0.9),))
    assert MODEL.find(replace(plan, tail=rule)) is None
    assert MODEL.forecast_plan(Plan(split=1, codec="float32"), situation()) is None
