"""Each policy of the field, by its own rule, on samples small enough to follow by eye.

# N samples, K classes
"""

from collections.abc import Sequence

import numpy as np
import pytest

from offramp.bundle.manifest import SCORES
from offramp.errors import PlanError
from offramp.exits.catalog import open_policy
from offramp.exits.exclusion import alive_of
from offramp.exits.policy import NO_STATE, UNKNOWN, BranchOutputs, ExitPolicy, State
from offramp.exits.recall import MEMORY
from offramp.plan import ExitRule

CAT, DOG, EEL = 0, 1, 2
STAYS = None


def a_rule(policy: str, *thresholds: float, over: ExitRule | None = None) -> ExitRule:
    """A threshold for each branch, at cuts 1, 2, …"""
    return ExitRule(policy=policy, thresholds=tuple(enumerate(thresholds, start=1)), over=over)


def says(cut: int, *logits: float, **scores: float) -> BranchOutputs:
    """A branch about one sample."""
    fused = [scores.get(name, 0.5) for name in SCORES]
    return BranchOutputs(cut, np.array([logits], np.float32), np.array([fused], np.float32))


def of_probabilities(cut: int, *p: float) -> BranchOutputs:
    return says(cut, *np.log(p))


def label_at(cut: int, label: int, **scores: float) -> BranchOutputs:
    return says(cut, *(3.0 if one == label else 0.0 for one in range(3)), **scores)


def answer(policy: ExitPolicy, state: State, said: Sequence[BranchOutputs]) -> tuple[int | None, int | None, State]:
    """(cut, label) where a sample leaves, and the state by then."""
    for outputs in said:
        decision, state = policy.decide(outputs, state)
        if decision.leaves_N[0]:
            labels = outputs.logits_NK.argmax(axis=1) if decision.label_N is None else decision.label_N
            return outputs.cut, int(labels[0]), state
    return STAYS, STAYS, state


class Stream:
    """One sample after the other, through one policy."""

    def __init__(self, rule: ExitRule) -> None:
        self._policy, self._state = open_policy(rule), NO_STATE

    def sample(self, *said: BranchOutputs, final: int) -> tuple[int | None, int]:
        """Where it leaves, and what it is answered."""
        cut, label, state = answer(self._policy, self._state, said)
        answered = final if label is None else label
        self._state = self._policy.settle(state, np.array([answered]))
        return cut, answered


# Raw scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "leaves_at", "stays_at"),
    [("raw-confidence", 0.69, 0.71), ("raw-margin", 0.49, 0.51), ("raw-entropy", 0.74, 0.72)],
)
def test_raw_scores_are_those_of_the_logits_alone(policy: str, leaves_at: float, stays_at: float) -> None:
    """Probabilities of 0.7, 0.2 and 0.1 have an entropy of 0.802 = 0.730 ln 3; what is fused says nothing."""
    said = of_probabilities(1, 0.7, 0.2, 0.1)
    assert answer(open_policy(a_rule(policy, leaves_at)), NO_STATE, [said])[0] == 1
    assert answer(open_policy(a_rule(policy, stays_at)), NO_STATE, [said])[0] is STAYS


@pytest.mark.parametrize("policy", ["raw-confidence", "raw-margin", "raw-entropy"])
def test_large_logits_do_not_overflow(policy: str) -> None:
    assert answer(open_policy(a_rule(policy, 0.5)), NO_STATE, [says(1, 1e38, -1e38, 0.0)])[0] == 1


# Class exclusion -----------------------------------------------------------------------------------------------------


def of_sigmoids(cut: int, *scores: float) -> BranchOutputs:
    p = np.array(scores)
    return says(cut, *np.log(p / (1 - p)))


EXCLUSIONS = ("exclusion", "exclusion-monotone")


@pytest.mark.parametrize("policy", EXCLUSIONS)
def test_classes_below_a_share_of_the_highest_score_are_struck_out(policy: str) -> None:
    opened = open_policy(a_rule(policy, 0.2))
    cut, _, state = answer(opened, NO_STATE, [of_sigmoids(1, 0.9, 0.2, 0.1)])  # 0.2 * 0.9 = 0.18
    assert cut is STAYS
    alive_NK = alive_of(state)
    assert alive_NK is not None
    assert alive_NK.tolist() == [[True, True, False]]


@pytest.mark.parametrize("policy", EXCLUSIONS)
def test_who_has_one_class_left_leaves_with_it(policy: str) -> None:
    opened = open_policy(a_rule(policy, 0.2, 0.2))
    said = [of_sigmoids(1, 0.1, 0.9, 0.6), of_sigmoids(2, 0.5, 0.9, 0.1)]
    assert answer(opened, NO_STATE, said)[:2] == (2, DOG)


def test_the_highest_scorer_is_alive_again_or_not() -> None:
    """A cat at the first branch's word; a dog at the second's, who was struck out."""
    said = [of_sigmoids(1, 0.9, 0.01, 0.6), of_sigmoids(2, 0.3, 0.9, 0.05)]
    assert answer(open_policy(a_rule("exclusion", 0.1, 0.5)), NO_STATE, said)[:2] == (2, DOG)
    assert answer(open_policy(a_rule("exclusion-monotone", 0.1, 0.5)), NO_STATE, said)[:2] == (2, CAT)


@pytest.mark.parametrize("policy", EXCLUSIONS)
def test_equal_highest_scorers_are_never_told_apart(policy: str) -> None:
    cut, _, state = answer(open_policy(a_rule(policy, 1.0)), NO_STATE, [of_sigmoids(1, 0.9, 0.9, 0.1)])
    assert cut is STAYS
    assert alive_of(state).tolist() == [[True, True, False]]  # type: ignore[union-attr]


@pytest.mark.parametrize("policy", EXCLUSIONS)
def test_saturated_scores_are_still_told_apart(policy: str) -> None:
    """Sigmoids of 40 and 20 are both 1 in float32; of -90 and -100, both nearly 0."""
    assert answer(open_policy(a_rule(policy, 1.0)), NO_STATE, [says(1, 40.0, 20.0, 0.0)])[:2] == (1, CAT)
    assert answer(open_policy(a_rule(policy, 0.5)), NO_STATE, [says(1, -90.0, -100.0, -95.0)])[:2] == (1, CAT)


@pytest.mark.parametrize("policy", EXCLUSIONS)
def test_a_branch_that_says_nan_strikes_out_nobody(policy: str) -> None:
    opened = open_policy(a_rule(policy, 0.2, 0.2))
    said = [of_sigmoids(1, 0.9, 0.6, 0.01), says(2, np.nan, np.nan, np.nan)]
    _, _, state = answer(opened, NO_STATE, said)
    assert alive_of(state).tolist() == [[True, True, False]]  # type: ignore[union-attr]


def test_the_alive_are_found_in_the_state_of_any_rule() -> None:
    below = a_rule("exclusion", 0.2)
    opened = open_policy(a_rule("difference", 0.1, over=below))
    _, _, state = answer(opened, NO_STATE, [of_sigmoids(1, 0.9, 0.6, 0.01)])
    assert alive_of(state).tolist() == [[True, True, False]]  # type: ignore[union-attr]
    _, _, state = answer(open_policy(a_rule("difference", 0.1)), NO_STATE, [of_sigmoids(1, 0.9, 0.6, 0.01)])
    assert alive_of(state) is None


# Patience ------------------------------------------------------------------------------------------------------------


def test_a_sample_leaves_where_so_many_in_a_row_agree() -> None:
    said = [label_at(1, CAT), label_at(2, DOG), label_at(3, DOG), label_at(4, DOG)]
    for patience, left_at in ((1, 1), (2, 3), (3, 4), (4, STAYS)):
        assert answer(open_policy(a_rule("patience", *[patience] * 4)), NO_STATE, said)[0] == left_at


def test_a_branch_that_says_nan_agrees_with_nobody() -> None:
    said = [label_at(1, CAT), says(2, np.nan, 0, 0), label_at(3, CAT), label_at(4, CAT)]
    assert answer(open_policy(a_rule("patience", 2, 2, 2, 2)), NO_STATE, said)[0] == 4


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.5])
def test_patience_counts_whole_branches(threshold: float) -> None:
    with pytest.raises(PlanError, match="whole numbers of branches, from 1 on; write patience:2@1"):
        open_policy(a_rule("patience", threshold))


# Difference detection ------------------------------------------------------------------------------------------------

NEAR = (0.9, 0.05, 0.05)


def test_who_looks_as_the_scene_began_leaves_with_its_label() -> None:
    """Which is the final answer's, whatever the branch says."""
    stream = Stream(a_rule("difference", 0.1))
    assert stream.sample(of_probabilities(1, *NEAR), final=EEL) == (STAYS, EEL)
    assert stream.sample(of_probabilities(1, 0.85, 0.1, 0.05), final=CAT) == (1, EEL)


def test_the_distance_is_at_most_one() -> None:
    """Of certain answers: two sides of 1 make a distance of the square root of 2."""
    for threshold, left_at in ((1.0, 1), (0.99, STAYS)):
        stream = Stream(a_rule("difference", threshold))
        stream.sample(says(1, 100.0, 0.0, 0.0), final=CAT)
        assert stream.sample(says(1, 0.0, 100.0, 0.0), final=DOG)[0] == left_at


def test_slow_drift_is_noticed() -> None:
    """Each is near the one before; the last is far from the first."""
    stream = Stream(a_rule("difference", 0.1))
    left_at = [stream.sample(of_probabilities(1, p, 0.98 - p, 0.02), final=CAT)[0] for p in (0.9, 0.82, 0.74)]
    assert left_at == [STAYS, 1, STAYS]


def test_who_looks_different_begins_a_scene() -> None:
    stream = Stream(a_rule("difference", 0.1))
    stream.sample(of_probabilities(1, *NEAR), final=CAT)
    assert stream.sample(of_probabilities(1, 0.1, 0.8, 0.1), final=DOG) == (STAYS, DOG)
    assert stream.sample(of_probabilities(1, 0.1, 0.8, 0.1), final=EEL) == (1, DOG)
    assert stream.sample(of_probabilities(1, *NEAR), final=CAT)[0] is STAYS


def test_most_branches_name_the_scene_and_the_final_answer_decides_between_equals() -> None:
    outvoted, equal = Stream(a_rule("difference", 0.1, 0.1)), Stream(a_rule("difference", 0.1))
    outvoted.sample(label_at(1, DOG), label_at(2, DOG), final=CAT)
    equal.sample(label_at(1, DOG), final=CAT)
    assert outvoted.sample(label_at(1, DOG), final=CAT) == (1, DOG)
    assert equal.sample(label_at(1, DOG), final=CAT) == (1, CAT)


def test_a_sample_that_nobody_answered_begins_no_scene() -> None:
    stream = Stream(a_rule("difference", 0.1))
    stream.sample(label_at(1, CAT), final=CAT)
    stream.sample(label_at(1, DOG), final=UNKNOWN)
    assert stream.sample(label_at(1, DOG), final=DOG)[0] is STAYS
    assert stream.sample(label_at(1, DOG), final=CAT) == (1, DOG)


# Temporal patience ---------------------------------------------------------------------------------------------------


def test_the_scene_is_left_at_the_earliest_branch_that_agreed_with_its_end() -> None:
    stream = Stream(a_rule("temporal-patience", 0, 0, 0))
    assert stream.sample(label_at(1, CAT), label_at(2, DOG), label_at(3, DOG), final=DOG) == (STAYS, DOG)
    assert stream.sample(label_at(1, DOG), label_at(2, DOG), final=CAT) == (2, DOG)
    assert stream.sample(label_at(1, CAT), label_at(2, DOG), final=CAT) == (2, DOG)


def test_another_label_there_begins_a_scene() -> None:
    stream = Stream(a_rule("temporal-patience", 0, 0))
    stream.sample(label_at(1, DOG), label_at(2, DOG), final=DOG)
    assert stream.sample(label_at(1, EEL), label_at(2, CAT), final=CAT) == (STAYS, CAT)
    assert stream.sample(label_at(1, CAT), label_at(2, CAT), final=EEL) == (2, CAT)


def test_a_scene_that_no_branch_understood_lets_nobody_leave() -> None:
    stream = Stream(a_rule("temporal-patience", 0, 0))
    for _ in range(2):
        assert stream.sample(label_at(1, DOG), label_at(2, DOG), final=CAT) == (STAYS, CAT)


def test_the_least_confidence_counts_at_every_branch() -> None:
    sure, unsure = {"confidence": 0.9}, {"confidence": 0.7}
    stream = Stream(a_rule("temporal-patience", 0.8, 0.8))
    stream.sample(label_at(1, DOG, **unsure), label_at(2, DOG, **sure), final=DOG)
    assert stream.sample(label_at(1, DOG, **sure), label_at(2, DOG, **sure), final=CAT) == (2, DOG)
    assert stream.sample(label_at(1, DOG, **sure), label_at(2, DOG, **unsure), final=DOG) == (STAYS, DOG)


# Recall --------------------------------------------------------------------------------------------------------------

FAR, BETWEEN_BOTH = (0.1, 0.8, 0.1), (0.82, 0.13, 0.05)


def test_samples_that_take_turns_are_both_remembered() -> None:
    stream = Stream(a_rule("recall", 0.05))
    assert stream.sample(of_probabilities(1, *NEAR), final=EEL) == (STAYS, EEL)
    assert stream.sample(of_probabilities(1, *FAR), final=DOG) == (STAYS, DOG)
    assert stream.sample(of_probabilities(1, *NEAR), final=CAT) == (1, EEL)
    assert stream.sample(of_probabilities(1, *FAR), final=CAT) == (1, DOG)


def test_who_is_near_to_two_that_were_answered_differently_goes_on() -> None:
    """And where all near are answered alike, the sample leaves."""
    for second, expected in ((CAT, (STAYS, EEL)), (DOG, (1, DOG))):
        stream = Stream(a_rule("recall", 0.1))
        stream.sample(of_probabilities(1, *NEAR), final=DOG)
        stream.sample(of_probabilities(1, 0.74, 0.21, 0.05), final=second)
        assert stream.sample(of_probabilities(1, *BETWEEN_BOTH), final=EEL) == expected


def test_the_oldest_is_forgotten_for_the_next() -> None:
    stream = Stream(a_rule("recall", 0.001))
    kinds = [(0.9 - 0.01 * kind, 0.05 + 0.01 * kind, 0.05) for kind in range(MEMORY + 1)]
    for p in kinds:
        assert stream.sample(of_probabilities(1, *p), final=DOG)[0] is STAYS
    assert stream.sample(of_probabilities(1, *kinds[1]), final=CAT) == (1, DOG)
    assert stream.sample(of_probabilities(1, *kinds[0]), final=CAT) == (STAYS, CAT)


def test_what_adds_nothing_takes_no_place() -> None:
    """Whom another policy lets leave looks like one that is remembered, however often it comes."""
    stream = Stream(a_rule("recall", 0.05, over=a_rule("confidence", 0.8)))
    stream.sample(of_probabilities(1, *FAR), final=EEL)
    for _ in range(2 * MEMORY):
        stream.sample(says(1, *np.log(NEAR), confidence=0.9), final=CAT)
    assert stream.sample(of_probabilities(1, *FAR), final=CAT) == (1, EEL)


def test_a_sample_that_nobody_answered_is_not_remembered() -> None:
    stream = Stream(a_rule("recall", 0.05))
    stream.sample(of_probabilities(1, *NEAR), final=UNKNOWN)
    assert stream.sample(of_probabilities(1, *NEAR), final=DOG)[0] is STAYS


# One over the other --------------------------------------------------------------------------------------------------


def test_whom_the_first_lets_stay_the_second_is_asked_about() -> None:
    stream = Stream(a_rule("difference", 0.1, over=a_rule("confidence", 0.8)))
    assert stream.sample(label_at(1, CAT, confidence=0.5), final=DOG) == (STAYS, DOG)
    assert stream.sample(label_at(1, CAT, confidence=0.9), final=EEL) == (1, DOG), "the scene's label counts"
    assert stream.sample(label_at(1, EEL, confidence=0.9), final=CAT) == (1, EEL)


def test_an_early_answer_by_the_second_does_not_move_the_first_ones_branch() -> None:
    below = ExitRule(policy="confidence", thresholds=((1, 0.8),))
    stream = Stream(a_rule("temporal-patience", 0, 0, over=below))
    stream.sample(label_at(1, CAT), label_at(2, DOG), final=DOG)
    assert stream.sample(label_at(1, DOG, confidence=0.9), final=DOG) == (1, DOG)
    assert stream.sample(label_at(1, DOG), label_at(2, DOG), final=CAT) == (2, DOG)
