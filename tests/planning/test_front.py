import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.plan import ExitRule
from offramp.planning.front import uncovered
from offramp.planning.rules import EVERY_SET, PATHS, branch_sets, rules_for

WORTHS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40)


@given(worths=WORTHS, slack=st.integers(0, 2))
def test_whoever_is_dropped_is_covered_by_one_that_is_kept(worths: list[tuple[int, int, int]], slack: int) -> None:
    values = np.array(worths, dtype=np.float64)
    gain_C, cost_CD = values[:, 0], values[:, 1:]
    kept = uncovered(gain_C, cost_CD, np.full_like(cost_CD, slack))
    for place in range(len(worths)):
        assert any(gain_C[one] >= gain_C[place] and (cost_CD[one] <= cost_CD[place] + slack).all() for one in kept)


@given(worths=WORTHS)
def test_without_slack_nobody_kept_covers_another(worths: list[tuple[int, int, int]]) -> None:
    values = np.array(worths, dtype=np.float64)
    gain_C, cost_CD = values[:, 0], values[:, 1:]
    kept = uncovered(gain_C, cost_CD, np.zeros_like(cost_CD))
    for one in kept:
        for other in kept:
            assert one == other or gain_C[one] < gain_C[other] or (cost_CD[one] > cost_CD[other]).any()


def test_few_branches_are_tried_in_every_set() -> None:
    assert len(branch_sets(range(1, EVERY_SET + 1))) == 2**EVERY_SET - 1


def test_of_many_branches_every_single_one_every_pair_and_all_are_tried() -> None:
    cuts = tuple(range(1, 10))
    sets = branch_sets(cuts)
    assert {(cut,) for cut in cuts} | {(1, 9), (4, 5), cuts} <= set(sets)
    assert len(sets) < 100


def test_sets_ask_branches_in_order() -> None:
    assert all(list(asked) == sorted(set(asked)) for asked in branch_sets(range(1, 10)))


@pytest.mark.parametrize("policy", PATHS)
def test_a_path_goes_from_lenient_to_strict(policy: str) -> None:
    path = PATHS[policy]
    # A low entropy is a sure one.
    assert list(path) == sorted(path, reverse=policy == "entropy")


def test_the_strict_rule_comes_before_the_lenient_one() -> None:
    rules = [rule for rule in rules_for([1]) if rule.policy == "confidence"]
    assert rules[0] == ExitRule(policy="confidence", thresholds=((1, PATHS["confidence"][-1]),))
