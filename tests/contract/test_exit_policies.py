"""What every exit policy of the catalogue owes; a new line in POLICIES is found here, and asked all of it.

# N samples, K classes, S fused scores
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.plan import ExitRule

each_policy = pytest.mark.parametrize("policy", POLICIES)
scores = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(len(SCORES))),
    elements=st.one_of(st.floats(0, 1, width=32), st.just(float("nan"))),
)
thresholds = st.floats(0, 1)


def said(scores_NS: NDArray[np.float32], cut: int = 1) -> BranchOutputs:
    return BranchOutputs(cut, np.zeros((len(scores_NS), 3), np.float32), scores_NS)


def a_rule(policy: str, *pairs: tuple[int, float]) -> ExitRule:
    return ExitRule(policy=policy, thresholds=pairs or ((1, 0.5),))


@each_policy
@given(scores_NS=scores, threshold=thresholds)
def test_batched_exits_equal_one_by_one_exits(policy: str, scores_NS: NDArray[np.float32], threshold: float) -> None:
    opened = open_policy(a_rule(policy, (1, threshold)))
    together, _ = opened.decide(said(scores_NS), NO_STATE)
    alone = [
        opened.decide(said(scores_NS[index : index + 1]), NO_STATE)[0].leaves_N[0] for index in range(len(scores_NS))
    ]
    assert together.leaves_N.dtype == np.bool_
    assert together.leaves_N.tolist() == alone


@each_policy
@given(scores_NS=scores, threshold=thresholds)
def test_deciding_twice_decides_the_same_and_leaves_the_scores_alone(
    policy: str, scores_NS: NDArray[np.float32], threshold: float
) -> None:
    opened, before_NS = open_policy(a_rule(policy, (1, threshold))), scores_NS.copy()
    first, _ = opened.decide(said(scores_NS), NO_STATE)
    second, _ = opened.decide(said(scores_NS), NO_STATE)
    assert first.leaves_N.tolist() == second.leaves_N.tolist()
    assert np.array_equal(before_NS, scores_NS, equal_nan=True)


@each_policy
def test_a_branch_that_was_not_asked_lets_nobody_leave(policy: str) -> None:
    opened = open_policy(a_rule(policy, (2, 0.5)))
    every_score_NS = np.repeat(np.linspace(0, 1, 11, dtype=np.float32)[:, None], len(SCORES), axis=1)
    assert not opened.decide(said(every_score_NS, cut=1), NO_STATE)[0].leaves_N.any()


@each_policy
def test_each_branch_has_its_own_threshold(policy: str) -> None:
    opened = open_policy(a_rule(policy, (1, 0.4), (2, 0.6)))
    half_1S = np.full((1, len(SCORES)), 0.5, np.float32)
    leaves = [bool(opened.decide(said(half_1S, cut), NO_STATE)[0].leaves_N[0]) for cut in (1, 2)]
    assert sorted(leaves) == [False, True]


@each_policy
def test_nan_never_leaves(policy: str) -> None:
    nan_1S = np.full((1, len(SCORES)), np.nan, np.float32)
    for threshold in (0.0, 1.0):
        assert not open_policy(a_rule(policy, (1, threshold))).decide(said(nan_1S), NO_STATE)[0].leaves_N.any()


@each_policy
def test_an_empty_batch_is_decided_too(policy: str) -> None:
    nobody_NS = np.empty((0, len(SCORES)), np.float32)
    assert open_policy(a_rule(policy)).decide(said(nobody_NS), NO_STATE)[0].leaves_N.shape == (0,)
