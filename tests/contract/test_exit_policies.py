"""What every exit policy of the catalogue owes, alone and over another one; a new line in POLICIES is found here.

# N samples, K classes, S fused scores
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.bundle.manifest import SCORES
from offramp.errors import PlanError
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.paths import path
from offramp.exits.policy import NO_STATE, UNKNOWN, BranchOutputs, State, rows_of
from offramp.exits.walk import STAYED, Walked
from offramp.plan import ExitRule
from tests.support.heard import Heard, heard

CUTS = (1, 2, 4)
COMBINED = [
    ("difference", "confidence"),
    ("temporal-patience", "raw-entropy"),
    ("exclusion", "patience"),
    ("margin", "difference"),
    ("difference", "temporal-patience"),
    ("recall", "margin"),
    ("confidence", "recall"),
]
EVERY = [*POLICIES, *("+".join(pair) for pair in COMBINED)]
TEMPORAL = {"difference", "temporal-patience", "recall"}

each_policy = pytest.mark.parametrize("policy", POLICIES)
each_rule = pytest.mark.parametrize("name", EVERY)
seeds = st.integers(0, 2**32 - 1)


def rules(name: str) -> st.SearchStrategy[ExitRule]:
    """Rules of a policy, or of policies joined by `+`: some branches each, with thresholds anywhere on its path."""
    first, plus, rest = name.partition("+")
    steps = [rule.thresholds[0][1] for rule in path(first, CUTS)]
    asked = st.sets(st.sampled_from(CUTS), min_size=1).map(sorted)
    thresholds = asked.flatmap(
        lambda cuts: st.tuples(*(st.tuples(st.just(cut), st.sampled_from(steps)) for cut in cuts))
    )
    over = rules(rest) if plus else st.none()
    return st.builds(lambda pairs, over: ExitRule(policy=first, thresholds=pairs, over=over), thresholds, over)


def lenient(policy: str, cuts: tuple[int, ...] = CUTS) -> ExitRule:
    return path(policy, cuts)[-1]


def one_by_one(rule: ExitRule, told: Heard) -> Walked:
    """As a device meets them: each sample alone, with what its own stream left behind."""
    policy, states = open_policy(rule), dict[int, State]()
    left_at_N, label_N = np.full(len(told), STAYED), told.final_label_N.copy()
    for row, stream in enumerate(told.stream_N.tolist()):
        state = states.get(stream, NO_STATE) if policy.temporal else NO_STATE
        for cut in rule.asked:
            outputs = told.hear(cut, np.array([row]))
            decision, state = policy.decide(outputs, state)
            if decision.leaves_N[0]:
                said_N = outputs.logits_NK.argmax(axis=1) if decision.label_N is None else decision.label_N
                left_at_N[row], label_N[row] = cut, said_N[0]
                break
        states[stream] = policy.settle(state, label_N[row : row + 1])
    return Walked(left_at_N, label_N)


def assert_same(one: Walked, other: Walked) -> None:
    assert one.left_at_N.tolist() == other.left_at_N.tolist()
    assert one.label_N.tolist() == other.label_N.tolist()


@each_rule
@given(seed=seeds, draws=st.data())
@settings(max_examples=20, deadline=None)
def test_streams_side_by_side_are_decided_as_each_sample_alone(name: str, seed: int, draws: st.DataObject) -> None:
    rule, told = draws.draw(rules(name)), heard(seed)
    assert_same(told.walk(rule), one_by_one(rule, told))


@each_policy
@given(seed=seeds, classes=st.sampled_from([1, 2, 7, 8, 9, 31, 33, 100, 129, 1000]), draws=st.data())
@settings(max_examples=10, deadline=None)
def test_of_any_number_of_classes_one_alone_leaves_the_bits_it_leaves_among_others(
    policy: str, seed: int, classes: int, draws: st.DataObject
) -> None:
    opened, drawn, count = open_policy(draws.draw(rules(policy))), np.random.default_rng(seed), 5
    together, alone = NO_STATE, [NO_STATE] * count
    for cut in CUTS:
        said = noise(drawn, cut, count, classes)
        with np.errstate(invalid="ignore"):  # infinite logits have no entropy
            decision, together = opened.decide(said, together)
            for row in range(count):
                only = BranchOutputs(cut, said.logits_NK[row : row + 1].copy(), said.scores_NS[row : row + 1].copy())
                own, alone[row] = opened.decide(only, alone[row])
                assert own.leaves_N.tolist() == decision.leaves_N[row : row + 1].tolist()
                assert [bits(array) for array in alone[row]] == [bits(array[row : row + 1]) for array in together]


def noise(drawn: np.random.Generator, cut: int, count: int, classes: int) -> BranchOutputs:
    """Small and large logits, equal ones, nans, here and there an infinite one."""
    logits_NK = np.round(drawn.normal(0, drawn.choice([0.1, 1, 30]), (count, classes)), drawn.integers(0, 7))
    logits_NK[drawn.random((count, classes)) < 0.02] = -np.inf
    logits_NK[drawn.random(count) < 0.1] = np.nan
    scores_NS = np.round(drawn.random((count, len(SCORES))), 1)
    return BranchOutputs(cut, logits_NK.astype(np.float32), scores_NS.astype(np.float32))


def bits(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()


@each_rule
@given(seed=seeds, draws=st.data())
@settings(max_examples=6, deadline=None)
def test_how_streams_interleave_changes_nothing(name: str, seed: int, draws: st.DataObject) -> None:
    rule, told = draws.draw(rules(name)), heard(seed)
    rows = interleaved_otherwise(told.stream_N, seed)
    walked = told.walk(rule)
    assert_same(told.taken(rows).walk(rule), Walked(walked.left_at_N[rows], walked.label_N[rows]))


def interleaved_otherwise(stream_N: np.ndarray, seed: int) -> np.ndarray:
    """Rows in another order, in which those of each stream stand as before."""
    other_N = np.random.default_rng(seed).permutation(stream_N)
    rows = np.empty(len(stream_N), np.intp)
    rows[np.argsort(other_N, kind="stable")] = np.argsort(stream_N, kind="stable")
    return rows


@pytest.mark.parametrize("name", [name for name in EVERY if not TEMPORAL & set(name.split("+"))])
@given(seed=seeds, draws=st.data())
@settings(max_examples=6, deadline=None)
def test_without_memory_order_changes_nothing(name: str, seed: int, draws: st.DataObject) -> None:
    rule, told = draws.draw(rules(name)), heard(seed)
    shuffled = np.random.default_rng(seed).permutation(len(told))
    walked = told.walk(rule)
    assert not open_policy(rule).temporal
    assert_same(told.taken(shuffled).walk(rule), Walked(walked.left_at_N[shuffled], walked.label_N[shuffled]))


@each_policy
def test_a_policy_says_whether_it_remembers_its_stream(policy: str) -> None:
    assert open_policy(lenient(policy)).temporal == (policy in TEMPORAL)


@each_rule
@given(seed=seeds, draws=st.data())
@settings(max_examples=6, deadline=None)
def test_deciding_and_settling_leave_what_they_are_given_alone(name: str, seed: int, draws: st.DataObject) -> None:
    rule, told = draws.draw(rules(name)), heard(seed, 8)
    policy, state = open_policy(rule), NO_STATE
    for sample in range(2):
        for cut in rule.asked:
            outputs = told.hear(cut, np.arange(sample * 4, sample * 4 + 4))
            kept = [array.copy() for array in (outputs.logits_NK, outputs.scores_NS, *state)]
            decision, after = policy.decide(outputs, state)
            again, _ = policy.decide(outputs, state)
            assert decision.leaves_N.dtype == np.bool_
            assert decision.leaves_N.tolist() == again.leaves_N.tolist()
            assert_untouched([outputs.logits_NK, outputs.scores_NS, *state], kept)
            state = after
        kept = [array.copy() for array in state]
        after = policy.settle(state, told.final_label_N[:4])
        assert_untouched(list(state), kept)
        state = after


def assert_untouched(arrays: list[np.ndarray], kept: list[np.ndarray]) -> None:
    for array, copy in zip(arrays, kept, strict=True):
        if copy.dtype != np.uint8:  # of which the width alone means something
            np.testing.assert_array_equal(array, copy)


@each_rule
@given(seed=seeds, draws=st.data())
@settings(max_examples=6, deadline=None)
def test_samples_that_nobody_answered_do_no_harm(name: str, seed: int, draws: st.DataObject) -> None:
    """Who leaves later is labelled with a class; a scene that nobody named lets nobody leave."""
    rule, told = draws.draw(rules(name)), heard(seed)
    unanswered = replace(told, final_label_N=np.full(len(told), UNKNOWN))
    walked = unanswered.walk(rule)
    assert (walked.label_N[walked.left_at_N != STAYED] >= 0).all()
    if set(name.split("+")) <= TEMPORAL:
        assert (walked.left_at_N == STAYED).all()


@each_policy
def test_a_branch_that_was_not_asked_lets_nobody_leave(policy: str) -> None:
    told, opened, state = heard(0, streams=1), open_policy(lenient(policy, (2,))), NO_STATE
    for row in range(len(told)):
        decision, state = opened.decide(told.hear(1, np.array([row])), state)
        assert not decision.leaves_N.any()
        state = opened.settle(state, told.final_label_N[row : row + 1])


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy not in TEMPORAL])
def test_each_branch_has_its_own_threshold(policy: str) -> None:
    """As many leave at the first, whatever the second one's; and at the second, more where it is more lenient."""
    strict, generous = (rule.thresholds[0][1] for rule in (path(policy, CUTS)[0], path(policy, CUTS)[-1]))
    told = heard(0, 400)
    left_at = [
        told.walk(ExitRule(policy=policy, thresholds=((1, strict), (2, second)))).left_at_N
        for second in (strict, generous)
    ]
    assert (left_at[0] == 1).tolist() == (left_at[1] == 1).tolist()
    assert (left_at[0] == 2).sum() < (left_at[1] == 2).sum()


@each_rule
@given(draws=st.data())
@settings(max_examples=6, deadline=None)
def test_nan_never_leaves(name: str, draws: st.DataObject) -> None:
    policy, state = open_policy(draws.draw(rules(name))), NO_STATE
    for _ in range(3):
        for cut in CUTS:
            nan_2K, nan_2S = np.full((2, 4), np.nan, np.float32), np.full((2, len(SCORES)), np.nan, np.float32)
            decision, state = policy.decide(BranchOutputs(cut, nan_2K, nan_2S), state)
            assert not decision.leaves_N.any()
        state = policy.settle(state, np.array([0, 1]))


@each_rule
@given(draws=st.data())
@settings(max_examples=5, deadline=None)
def test_an_empty_batch_is_decided_too(name: str, draws: st.DataObject) -> None:
    policy, told = open_policy(draws.draw(rules(name))), heard(0, 6)
    nobody = np.zeros(0, np.intp)
    _, state = policy.decide(told.hear(1, np.arange(6)), NO_STATE)
    for before in (NO_STATE, rows_of(state, nobody)):
        decision, after = policy.decide(told.hear(2, nobody), before)
        assert decision.leaves_N.shape == (0,)
        assert all(len(array) == 0 for array in policy.settle(after, np.zeros(0, np.int64)))


@each_policy
def test_a_threshold_that_means_nothing_is_refused_by_value_and_with_a_way_out(policy: str) -> None:
    wrong = 1.5 if not POLICIES[policy].counts else 2.5
    with pytest.raises(PlanError, match=f"threshold {wrong:g} of branch 2 .*; write {policy}:"):
        open_policy(ExitRule(policy=policy, thresholds=((1, 1.0), (2, wrong))))
