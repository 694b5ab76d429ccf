"""Thresholds are tuned to hold on the samples at hand, for fewer operations."""

from dataclasses import replace

import numpy as np
import pytest

from offramp.exits.charge import Charge
from offramp.exits.paths import path
from offramp.exits.tuning import Bench, along_path, branch_by_branch, tune
from offramp.plan import NO_EXIT
from tests.support.heard import heard

CUTS = (1, 2, 4)
CHARGE = Charge(before={1: 100.0, 2: 200.0, 4: 400.0}, branch=dict.fromkeys(CUTS, 5.0), whole=500.0)
BENCH = Bench(recorded=heard(3, 600, streams=100), charge=CHARGE)
FULL = BENCH.judge(NO_EXIT)

some_policies = pytest.mark.parametrize("policy", ["confidence", "entropy", "exclusion", "patience", "difference"])


@some_policies
def test_what_is_tuned_holds_and_saves(policy: str) -> None:
    for drop in (0.0, 0.05):
        tuned = tune(policy, CUTS, BENCH, drop=drop)
        assert tuned.quality >= FULL.quality - drop
        assert tuned.operations <= FULL.operations
        assert tuned == BENCH.judge(tuned.rule)


@some_policies
def test_tuning_never_ends_dearer_than_the_path_or_the_search(policy: str) -> None:
    tuned = tune(policy, CUTS, BENCH, drop=0.05)
    assert tuned.operations <= along_path(path(policy, CUTS), BENCH, drop=0.05).operations
    assert tuned.operations <= branch_by_branch(policy, CUTS, BENCH, drop=0.05).operations


def test_more_may_be_lost_and_more_is_saved() -> None:
    drops = (0.0, 0.02, 0.1, 1.0)
    operations = [along_path(path("confidence", CUTS), BENCH, drop=drop).operations for drop in drops]
    assert operations == sorted(operations, reverse=True)
    assert operations[-1] < operations[0]


def test_where_any_loss_is_fine_everybody_leaves_as_early_as_can_be() -> None:
    """At the first branch; a few whose first branch says nan, at a later one."""
    tuned = tune("patience", CUTS, BENCH, drop=1.0)
    assert tuned.rule == path("patience", CUTS)[-1]


def test_branches_that_are_always_wrong_are_not_asked() -> None:
    wrong = replace(BENCH.recorded, truth_N=np.full(len(BENCH.recorded), 99), final_label_N=np.full(600, 99))  # type: ignore[type-var]
    tuned = tune("confidence", CUTS, Bench(recorded=wrong, charge=CHARGE), drop=0.0)
    assert tuned.rule == NO_EXIT


def test_a_branch_that_costs_more_than_it_spares_is_not_asked() -> None:
    dear = replace(CHARGE, branch={1: 5.0, 2: 5.0, 4: 1_000.0})
    asked = tune("confidence", CUTS, Bench(recorded=BENCH.recorded, charge=dear), drop=0.05).rule.asked
    assert asked
    assert 4 not in asked


def test_a_temporal_policy_is_tuned_over_an_instance_policy() -> None:
    below = along_path(path("confidence", (2,)), BENCH, drop=0.05)
    tuned = tune("difference", (1,), BENCH, drop=0.1, over=below.rule)
    assert tuned.rule.over == below.rule
    assert tuned.operations < below.operations


def test_quality_is_whatever_one_asks_for() -> None:
    """Of two classes, only the first one's answers count."""
    recorded = BENCH.recorded
    one_class = Bench(
        recorded=recorded, charge=CHARGE, quality=lambda label_N, truth_N: float((label_N[truth_N == 0] == 0).mean())
    )
    tuned = tune("confidence", CUTS, one_class, drop=0.0)
    assert tuned.quality >= one_class.judge(NO_EXIT).quality
    assert tuned.operations < tune("confidence", CUTS, BENCH, drop=0.0).operations
