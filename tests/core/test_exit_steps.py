"""Steps of a path agree with the deployed policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.bundle.manifest import SCORES
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.exits.steps import Steps
from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.rules import PATHS


def leaves(rule: ExitRule, scores_S: np.ndarray) -> bool:
    outputs = BranchOutputs(1, np.zeros((1, 5), np.float32), scores_S[None])
    return bool(open_policy(rule).decide(outputs, NO_STATE)[0].leaves_N[0])


def at(policy: str, *thresholds: float) -> ExitRule:
    return ExitRule(policy=policy, thresholds=tuple(enumerate(thresholds, start=1)))


@pytest.mark.parametrize("policy", PATHS)
@given(score=st.floats(0, 1, width=32) | st.sampled_from([step for path in PATHS.values() for step in path]))
def test_a_sample_leaves_exactly_at_the_steps_up_to_the_one_it_reaches(policy: str, score: float) -> None:
    scores_S = np.full(len(SCORES), score, np.float32)
    path = PATHS[policy]
    reached = Steps(policy, path).reached(scores_S)
    assert [leaves(at(policy, threshold), scores_S) for threshold in path] == [
        step <= reached for step in range(len(path))
    ]


@pytest.mark.parametrize("policy", PATHS)
def test_nobody_leaves_with_a_score_that_is_no_number(policy: str) -> None:
    assert Steps(policy, PATHS[policy]).reached(np.full(len(SCORES), np.nan, np.float32)) == -1


@pytest.mark.parametrize("policy", PATHS)
def test_a_rule_of_the_path_stands_at_its_step(policy: str) -> None:
    steps = Steps(policy, PATHS[policy])
    assert [steps.of(at(policy, threshold)) for threshold in PATHS[policy]] == list(range(len(steps)))


def test_a_rule_between_two_steps_stands_at_the_lower_one_of_its_most_lenient_branch() -> None:
    assert Steps("confidence", (0.5, 0.7, 0.9)).of(at("confidence", 0.95, 0.8)) == 1
    assert Steps("entropy", (0.5, 0.3, 0.1)).of(at("entropy", 0.05, 0.2)) == 1


def test_a_rule_more_lenient_than_the_path_stands_at_its_start() -> None:
    assert Steps("confidence", (0.5, 0.7)).of(at("confidence", 0.2)) == 0


def test_raising_a_rule_leaves_what_is_strict_enough() -> None:
    assert Steps("confidence", (0.5, 0.7, 0.9)).raised(at("confidence", 0.6, 0.95), 2) == at("confidence", 0.9, 0.95)
    assert Steps("entropy", (0.5, 0.3, 0.1)).raised(at("entropy", 0.4, 0.05), 1) == at("entropy", 0.3, 0.05)


def test_past_the_end_of_the_path_nobody_leaves() -> None:
    assert Steps("confidence", (0.5, 0.7)).raised(at("confidence", 0.6), 2) == NO_EXIT
