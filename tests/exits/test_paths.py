import pytest

from offramp.errors import PlanError, UnknownNameError
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.paths import path, thresholds
from offramp.plan import ExitRule

each_policy = pytest.mark.parametrize("policy", POLICIES)


@each_policy
def test_every_rule_of_a_path_can_be_followed(policy: str) -> None:
    rules = path(policy, (2, 4, 7))
    assert len(rules) > 1
    for rule in rules:
        assert rule.asked == (2, 4, 7)
        open_policy(rule)


@each_policy
def test_a_path_goes_one_way(policy: str) -> None:
    steps = thresholds(policy, 5)
    assert list(steps) in (sorted(set(steps)), sorted(set(steps), reverse=True))


def test_a_finer_path_keeps_every_step() -> None:
    coarse, fine = thresholds("entropy", 3), thresholds("entropy", 3, finer=4)
    assert fine[::4] == coarse
    assert list(fine) == sorted(set(fine))


def test_a_path_may_stand_over_a_rule() -> None:
    below = ExitRule(policy="margin", thresholds=((3, 0.5),))
    assert {rule.over for rule in path("confidence", (1, 2), over=below)} == {below}


def test_a_path_without_branches_is_refused() -> None:
    with pytest.raises(PlanError, match="give the cuts at which some hang"):
        path("confidence", ())


def test_a_path_of_an_unknown_policy_is_told_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'margin'"):
        path("margins", (1,))


def test_patience_begins_where_all_branches_agree() -> None:
    assert thresholds("patience", 3) == (3, 2, 1)
