from dataclasses import replace

import pytest

from offramp.planning.objective import Objective
from offramp.planning.strategies.edgent import Edgent
from offramp.planning.strategies.strategy import Grounds
from offramp.units import Seconds
from tests.support.grounds import grounds_of_four_stages
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_situation

BRANCHES = {1: 0.6, 2: 0.8}
PAIRS = {
    # (split, does everybody leave at a branch there): accuracy, seconds at 10 Mbit/s with a round trip of 20 ms
    (4, False): (0.95, 0.050),
    (0, False): (0.93, 0.0005 + 8 * 956 / 10e6 + 0.02 + 0.0005 + 0.005),
    (2, False): (0.94, 0.025 + 0.0005 + 8 * 3_056 / 10e6 + 0.02 + 0.0005 + 0.0025),
    (1, True): (0.6, 0.010 + 0.001),
    (2, True): (0.8, 0.025 + 0.001),
}


def grounds(deadline: float) -> Grounds:
    manifest = a_manifest()
    branches = tuple(replace(branch, accuracy=BRANCHES[branch.cut]) for branch in manifest.branches)
    return grounds_of_four_stages(
        a_candidate(4, codec="none", accuracy=0.95),
        a_candidate(0, codec="jpeg:90", accuracy=0.93, payload=900),
        a_candidate(2, accuracy=0.94, payload=3_000),
        manifest=replace(manifest, branches=branches),
        objective=Objective(deadline=Seconds(deadline)),
    )


def brute_force(deadline: float) -> tuple[int, bool]:
    meets = {pair: accuracy for pair, (accuracy, seconds) in PAIRS.items() if seconds <= deadline}
    return max(meets, key=meets.__getitem__) if meets else min(PAIRS, key=lambda pair: PAIRS[pair][1])


@pytest.mark.parametrize("deadline", [0.001, 0.0115, 0.0125, 0.030, 0.036, 0.060, 1.0])
def test_the_most_accurate_pair_that_meets_the_deadline_is_chosen_else_the_fastest(deadline: float) -> None:
    plan = Edgent(grounds(deadline)).choose(a_situation()).plan
    assert (plan.split, bool(plan.exit.thresholds)) == brute_force(deadline)


def test_right_sizing_lets_everybody_leave_at_one_branch() -> None:
    plan = Edgent(grounds(0.0115)).choose(a_situation(0.0)).plan
    assert str(plan.exit) == "confidence:0@1"


def test_what_leaving_always_is_worth_is_read_from_candidates_where_they_tell() -> None:
    measured = replace(_leaves_at_1(), accuracy=0.7)
    given = grounds(0.0115)
    candidates = replace(given.candidates, candidates=(*given.candidates.candidates, measured))
    forecast = Edgent(replace(given, candidates=candidates)).choose(a_situation(0.0)).forecast
    assert forecast is not None
    assert forecast.accuracy == 0.7


def test_a_branch_of_unknown_accuracy_is_no_exit_point() -> None:
    plan = Edgent(grounds_of_four_stages(objective=Objective(deadline=Seconds(0.0115)))).choose(a_situation(0.0)).plan
    assert plan.split == 4


def test_drift_forbids_leaving_unsure() -> None:
    plan = Edgent(grounds(0.0115)).choose(a_situation(0.0, caution=1)).plan
    assert plan.split == 4


def _leaves_at_1():  # noqa: ANN202 - a Candidate
    from offramp.plan import ExitRule

    rule = ExitRule(policy="confidence", thresholds=((1, 0.4),))
    return a_candidate(3, exit=rule, reach=(1.0,), offload=0.0)
