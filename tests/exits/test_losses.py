"""Losses, from their definitions."""

import numpy as np
import pytest

from offramp.errors import SettingsError
from offramp.exits.losses import Loss, half_brier, losses_of, walks_of
from offramp.exits.walk import STAYED, Walked
from offramp.plan import NO_EXIT, ExitRule
from tests.support.evidence import some_evidence

TEMPERATURES = {1: 1.5, 2: 1.0, 4: 2.0}
RULES = (NO_EXIT, ExitRule(policy="confidence", thresholds=((1, 0.7), (2, 0.6))))


@pytest.mark.parametrize("loss", list(Loss))
def test_who_stays_loses_nothing(loss: Loss) -> None:
    evidence = some_evidence(300)
    walks = walks_of(evidence, RULES)
    losses_NT = losses_of(evidence, walks, loss, TEMPERATURES)
    assert (losses_NT[:, 0] == 0).all()
    assert (losses_NT[walks[1].left_at_N == STAYED, 1] == 0).all()
    assert losses_NT[:, 1].any()


def test_the_mean_drop_is_the_accuracy_lost() -> None:
    evidence = some_evidence(300)
    walks = walks_of(evidence, RULES)
    lost = (evidence.final_label_N == evidence.truth_N).mean() - (walks[1].label_N == evidence.truth_N).mean()
    assert losses_of(evidence, walks, Loss.DROP, TEMPERATURES)[:, 1].mean() == pytest.approx(lost)


def test_brier_is_half_the_squared_distance_from_the_truth() -> None:
    logits_NK = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    assert half_brier(logits_NK, np.array([1]), 1.0) == pytest.approx([(0.5**2 + 0.7**2 + 0.2**2) / 2])


def test_a_brier_gap_is_between_the_branch_and_the_end() -> None:
    evidence = some_evidence(300)
    walks = walks_of(evidence, RULES)
    losses_N = losses_of(evidence, walks, Loss.BRIER, TEMPERATURES)[:, 1]
    left_N = walks[1].left_at_N == 1
    expected = half_brier(evidence.logits[1], evidence.truth_N, 1.5) - half_brier(
        evidence.final_NK, evidence.truth_N, 2.0
    )
    assert losses_N[left_N] == pytest.approx(expected[left_N])


def test_labels_that_are_not_the_branchs_have_no_probabilities() -> None:
    evidence = some_evidence(10)
    another = Walked(np.full(10, 1), (evidence.logits[1].argmax(axis=1) + 1) % 5)
    with pytest.raises(SettingsError, match="promise a drop or a disagreement instead"):
        losses_of(evidence, [another], Loss.BRIER, TEMPERATURES)
