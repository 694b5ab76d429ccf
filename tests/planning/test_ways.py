"""Which rules a certificate chooses from."""

from dataclasses import replace

import numpy as np
import pytest

from offramp.errors import PlanError, SettingsError, UnknownNameError
from offramp.exits.certify import Halves, Promise, certify, halves_of
from offramp.exits.evidence import units_of
from offramp.exits.losses import Loss, losses_of, walks_of
from offramp.planning.ways import Way
from tests.support.evidence import some_evidence
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()
PROMISE = Promise(loss=Loss.DROP, epsilon=0.05)


@pytest.fixture(scope="module")
def halves() -> Halves:
    evidence = some_evidence(2_000)
    return halves_of(evidence, units_of(evidence, temporal=False))


def test_a_fixed_path_moves_all_branches_together(halves: Halves) -> None:
    path = Way.of(MANIFEST, "margin").path(halves, PROMISE, MANIFEST, together=True)
    assert {rule.policy for rule in path.rules} == {"margin"}
    assert all(len({threshold for _, threshold in rule.thresholds}) == 1 for rule in path.rules)
    assert path.tuned_on.samples == 0


def test_a_tuned_path_is_made_from_the_half_that_does_not_decide(halves: Halves) -> None:
    way = Way.of(MANIFEST, "confidence")
    path = way.path(halves, PROMISE, MANIFEST)
    assert path == way.path(replace(halves, certifying=halves.tuning), PROMISE, MANIFEST)
    assert path.tuned_on.samples == len(halves.tuning)


def test_a_tuned_path_grows_more_lenient(halves: Halves) -> None:
    path = Way.of(MANIFEST, "confidence").path(halves, PROMISE, MANIFEST)
    losses_NT = losses_of(halves.tuning, walks_of(halves.tuning, path.rules), Loss.DROP, {})
    assert losses_NT[:, 0].mean() < losses_NT[:, -1].mean() <= 0.05
    assert len(set(path.rules)) > 10


def test_tuned_branches_take_fewer_operations_than_moved_together(halves: Halves) -> None:
    way = Way.of(MANIFEST, "confidence")
    tuned, together = (
        certify(halves, way.path(halves, PROMISE, MANIFEST, together=together), PROMISE, MANIFEST)
        for together in (False, True)
    )
    assert tuned.operations <= together.operations


def test_disagreement_is_tuned_without_truth(halves: Halves) -> None:
    nobody = np.full(len(halves.tuning), -1)
    blind = replace(halves, tuning=replace(halves.tuning, truth_N=nobody))
    promise = Promise(loss=Loss.DISAGREEMENT, epsilon=0.05)
    way = Way.of(MANIFEST, "confidence")
    assert way.path(blind, promise, MANIFEST) == way.path(halves, promise, MANIFEST)


def test_a_policy_stands_over_a_rule_that_stays() -> None:
    way = Way.of(MANIFEST, "difference+confidence:0.9@2", "block1")
    assert (way.cuts, str(way.over)) == ((1,), "confidence:0.9@2")
    assert way.temporal


def test_what_does_not_hang_there_cannot_be_asked() -> None:
    with pytest.raises(PlanError, match="no branch at cut 3; .* has branches at 1, 2"):
        Way.of(MANIFEST, "confidence", "3")
    with pytest.raises(PlanError, match="has no branches, so nobody can leave"):
        Way.of(a_manifest(branches=()), "confidence")
    with pytest.raises(UnknownNameError, match="did you mean 'margin'"):
        Way.of(MANIFEST, "margn")


def test_a_promise_that_no_rule_can_keep_is_refused(halves: Halves) -> None:
    there = halves.tuning
    wrong = {cut: -logits_NK for cut, logits_NK in there.logits.items()}
    sure = {cut: np.ones_like(scores_NS) for cut, scores_NS in there.scores.items()}
    hopeless = replace(halves, tuning=replace(there, logits=wrong, scores=sure))
    with pytest.raises(SettingsError, match="no rule of confidence at 1, 2 loses at most"):
        Way.of(MANIFEST, "confidence").path(hopeless, PROMISE, MANIFEST)
