"""What the server believes about its own speed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.units import Seconds
from offramp_edge_server.costs import Costs

durations = st.floats(1e-5, 10.0).map(Seconds)


def some_costs(**seconds_by_size: float) -> Costs:
    costs = Costs()
    for size, duration in seconds_by_size.items():
        costs.observe("a", int(size.removeprefix("n")), Seconds(duration))
    return costs


def test_what_never_ran_is_believed_to_be_free() -> None:
    costs = Costs()
    assert costs.estimate("a", 1) == 0.0
    assert not costs.knows("a")


@given(st.lists(durations, min_size=1))
def test_an_estimate_lies_within_what_was_seen(seen: list[Seconds]) -> None:
    costs = Costs()
    for duration in seen:
        costs.observe("a", 1, duration)
    assert min(seen) * 0.999 <= costs.estimate("a", 1) <= max(seen)


def test_one_slow_moment_hardly_counts_and_a_fast_one_counts_whole() -> None:
    costs = some_costs(n1=0.010)
    costs.observe("a", 1, Seconds(0.500))
    assert costs.estimate("a", 1) == pytest.approx(0.059)
    costs.observe("a", 1, Seconds(0.009))
    assert costs.estimate("a", 1) == 0.009


def test_a_size_that_never_ran_is_scaled_up_from_a_smaller_one_and_bounded_by_a_larger_one() -> None:
    assert some_costs(n2=0.010, n16=0.050).estimate("a", 4) == pytest.approx(0.020)
    assert some_costs(n16=0.050, n32=0.1).estimate("a", 4) == 0.050


def test_groups_do_not_share_their_costs() -> None:
    assert some_costs(n1=0.5).estimate("b", 1) == 0.0


def test_a_budget_that_could_be_met_is_met_again_some_time_after_a_long_slow_phase() -> None:
    costs = some_costs(n1=1.0)
    refused = 0
    while costs.estimate("a", 1) > 0.1:
        costs.doubt("a")
        refused += 1
    assert refused < 30
