from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.rules import PATHS, step_of


@given(policy=st.sampled_from(sorted(PATHS)), number=st.integers(0, 12))
def test_a_rule_on_its_path_stands_at_its_step(policy: str, number: int) -> None:
    rule = ExitRule(policy=policy, thresholds=((1, PATHS[policy][number]), (2, PATHS[policy][-1])))
    assert step_of(rule) == number


@pytest.mark.parametrize(("policy", "threshold", "step"), [("confidence", 0.86, 5), ("entropy", 0.16, 5)])
def test_between_two_steps_a_rule_stands_at_the_more_lenient(policy: str, threshold: float, step: int) -> None:
    assert step_of(ExitRule(policy=policy, thresholds=((1, threshold),))) == step


def test_a_rule_below_every_step_is_not_careful_at_all() -> None:
    assert step_of(ExitRule(policy="confidence", thresholds=((1, 0.1),))) == -1


def test_who_lets_nobody_leave_is_as_careful_as_can_be() -> None:
    assert step_of(NO_EXIT) > max(len(path) for path in PATHS.values())


def test_of_a_rule_over_another_one_the_more_lenient_counts() -> None:
    sure, surer = (ExitRule(policy="confidence", thresholds=((1, step),)) for step in PATHS["confidence"][3:5])
    assert step_of(replace(surer, over=sure)) == step_of(replace(sure, over=surer)) == 3


def test_who_leaves_as_a_known_scene_stands_below_every_step() -> None:
    sure = ExitRule(policy="confidence", thresholds=((1, 0.99),))
    assert step_of(ExitRule(policy="difference", thresholds=((1, 0.1),), over=sure)) == -1
