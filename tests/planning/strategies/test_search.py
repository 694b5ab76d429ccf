import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.measure.energy import RADIOS, EnergyModel
from offramp.planning.candidates import Candidate
from offramp.planning.objective import Goal, parse_objective
from offramp.planning.ranking import broken, score_of
from offramp.planning.strategies.catalog import open_strategy
from tests.support.plans import a_candidate, a_profile, a_situation, an_exit, some_grounds

POWER = EnergyModel(compute_w=3.0, radio=RADIOS["lte"])


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    split, leaves = draw(st.integers(0, 2)), draw(st.booleans())
    exits = an_exit(1, draw(st.sampled_from([0.5, 0.9]))) if leaves and split else None
    return a_candidate(
        split,
        **({"exit": exits, "reach": (1.0,)} if exits else {}),
        codec="none" if split == 2 else "jpeg:90" if split == 0 else "affine8+zstd",
        offload=draw(st.sampled_from([0.01, 0.3, 0.9])) if exits else 1.0,
        accuracy=draw(st.floats(0.8, 0.95)),
        loss_high=draw(st.floats(0.0, 0.04)),
        payload=draw(st.integers(100, 20_000)),
    )


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(candidates(), min_size=1, max_size=12, unique_by=lambda item: (item.split, item.exit)),
    objective=st.sampled_from(
        [
            "",
            "minimise=p95, hits=90%, deadline=60ms",
            "minimise=energy, bytes=2kb",
            "minimise=bytes, drop=2%",
            "accuracy=88%",
        ]
    ),
    mbit=st.sampled_from([0.0, 0.5, 5.0, 50.0]),
    rate=st.sampled_from([0.0, 5.0, 40.0]),
    price=st.sampled_from([0.0, 3.0]),
)
def test_search_equals_brute_force(
    items: list[Candidate], objective: str, mbit: float, rate: float, price: float
) -> None:
    grounds = some_grounds(*items, objective=parse_objective(objective), energy=POWER)
    situation = a_situation(mbit, rate=rate, price=price)
    forecasts = [grounds.model.forecast(place, situation, grounds.objective.deadline) for place in range(len(items))]
    holding = [one for one in forecasts if not broken(one, grounds.objective)]
    chosen = open_strategy("search", grounds).choose(situation)
    assert chosen.forecast is not None
    if holding:
        least = min(score_of(one, grounds.objective, situation) for one in holding)
        assert not broken(chosen.forecast, grounds.objective)
        assert score_of(chosen.forecast, grounds.objective, situation) == pytest.approx(least)
    else:
        assert chosen.why.startswith("no plan holds")


def test_constraints_that_nobody_holds_are_given_up_one_by_one() -> None:
    local = a_candidate(2, codec="none", loss_high=0.0)
    sent = a_candidate(0, codec="jpeg:90", loss_high=0.0, payload=5000)
    early = a_candidate(2, codec="none", exit=an_exit(1), reach=(1.0,), offload=0.1, loss_high=0.05)
    slow = a_profile((0.0, 0.1, 0.3))

    def chosen(objective: str, **situation: float) -> tuple[Candidate, str]:
        grounds = some_grounds(local, sent, early, device=slow, objective=parse_objective(objective))
        choice = open_strategy("search", grounds).choose(a_situation(**situation))  # type: ignore[arg-type]
        place = grounds.model.find(choice.plan)
        assert place is not None
        return grounds.model.candidates[place], choice.why

    assert chosen("drop=1%", mbit=2.0)[0] is sent
    assert chosen("drop=1%, bytes=2kb", mbit=2.0)[0] is local
    item, why = chosen("drop=1%, hits=99%, deadline=40ms, bytes=2kb", mbit=2.0)
    assert item is sent or "40.0 ms" in why
    item, why = chosen("drop=1%", mbit=0.0, rate=5.0)  # 0.3 s each: the whole network keeps up with 3 samples a second
    assert item is early
    assert "a loss of at most 1 % accuracy" in why
    item, why = chosen("drop=1%", mbit=0.0, rate=50.0)
    assert "keeping up with 50 samples a second" in why


def test_a_dearer_edge_is_used_less() -> None:
    local, sent = a_candidate(2, codec="none", loss_high=0.0), a_candidate(0, codec="jpeg:90", loss_high=0.0)
    grounds = some_grounds(local, sent, device=a_profile((0.0, 0.02, 0.05)))
    search = open_strategy("search", grounds)
    assert search.choose(a_situation(20.0)).plan == sent.plan()
    assert search.choose(a_situation(20.0, price=20.0)).plan == local.plan()


def test_drift_forbids_lenient_exits() -> None:
    lenient, strict = (
        a_candidate(2, codec="none", exit=an_exit(1, threshold), reach=(1.0,), offload=share)
        for threshold, share in ((0.5, 0.1), (0.95, 0.5))
    )
    search = open_strategy("search", some_grounds(lenient, strict))
    assert search.choose(a_situation()).plan == lenient.plan()
    assert search.choose(a_situation(caution=5)).plan == strict.plan()


def test_the_reason_has_the_number_of_the_goal() -> None:
    for goal, unit in ((Goal.LATENCY, "ms on average"), (Goal.P95, "in 95 of 100"), (Goal.ENERGY, "J per sample")):
        grounds = some_grounds(a_candidate(), objective=parse_objective(f"minimise={goal}"), energy=POWER)
        assert unit in open_strategy("search", grounds).choose(a_situation()).why


def test_ten_thousand_candidates_are_ranked_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    items = [
        a_candidate(1, exit=an_exit(1, float(rng.uniform())), reach=(1.0,), offload=float(share), payload=float(size))
        for share, size in zip(rng.uniform(0.01, 1.0, 10_000), rng.integers(100, 5000, 10_000), strict=True)
    ]
    grounds = some_grounds(*items)
    situation = a_situation(2.0, rate=10.0, bandwidth_low=1.5e6, bandwidth_high=3e6)
    chosen = open_strategy("search", grounds).choose(situation)
    assert chosen.forecast is not None
    some = [grounds.model.forecast(int(place), situation).mean for place in rng.integers(0, 10_000, 50)]
    assert math.isfinite(chosen.forecast.mean)
    assert chosen.forecast.mean <= min(some)
