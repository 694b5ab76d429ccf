import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import SettingsError
from offramp.planning.objective import DEFAULT_OBJECTIVE, Goal, Objective, parse_objective
from offramp.units import Seconds

SHARES = st.floats(0.0, 1.0, exclude_max=True)
BUDGETS = st.none() | st.floats(0.0, 1e6)


@given(
    objective=st.builds(
        Objective,
        minimise=st.sampled_from(Goal),
        accuracy=st.none() | st.floats(0.0, 1.0, exclude_min=True),
        drop=st.none() | SHARES,
        deadline=st.floats(1e-6, 1e4).map(Seconds),
        hits=SHARES,
        energy=BUDGETS,
        bytes=st.none() | st.integers(0, 10**9).map(float),
    )
)
def test_what_an_objective_prints_reads_back_to_it(objective: Objective) -> None:
    assert parse_objective(str(objective)) == objective


def test_an_objective_is_one_line_of_people_s_units() -> None:
    found = parse_objective("minimise=p95, drop=1%, deadline=200ms, hits=95%, energy=0.2j, bytes=2kb")
    assert found == Objective(minimise=Goal.P95, drop=0.01, deadline=Seconds(0.2), hits=0.95, energy=0.2, bytes=2000.0)


def test_what_is_not_named_keeps_its_default() -> None:
    assert parse_objective("") == DEFAULT_OBJECTIVE
    assert parse_objective("drop=any, accuracy=92%") == Objective(drop=None, accuracy=0.92)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("minimize=p95", "did you mean 'minimise'"),
        ("minimise=latencies", "did you mean 'latency'"),
        ("drop", "write name=value"),
        ("drop=1%, drop=2%", "gives drop twice"),
        ("drop=one", "write one such as 95%"),
        ("drop=-1%", r"give one in \[0, 1\)"),
        ("accuracy=92", r"give one in \(0, 1\]"),
        ("hits=100%", "such as 95%"),
        ("deadline=200", "a duration such as 20ms"),
        ("deadline=0s", "give a positive one"),
        ("energy=0.2w", "write joules"),
        ("energy=nanj", "0 or more"),
        ("bytes=2mbit", "a size such as 200kb"),
    ],
)
def test_a_wrong_objective_is_explained(text: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        parse_objective(text)
