"""A certificate promises what holds for samples that nobody looked at, and says what it rests on."""

from dataclasses import replace

import numpy as np
import pytest

from offramp.errors import SettingsError
from offramp.exits.certify import Halves, Path, Promise, certify, halves_of, in_units
from offramp.exits.evidence import Evidence, units_of
from offramp.exits.losses import Loss, losses_of, walks_of
from offramp.exits.paths import path
from offramp.exits.risk import Method
from offramp.plan import ExitRule
from tests.support.evidence import some_evidence
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()
PATH = Path(rules=path("confidence", (1, 2), finer=4), description="confidence")
PROMISE = Promise(loss=Loss.DISAGREEMENT, epsilon=0.05)


def halves(evidence: Evidence | None = None) -> Halves:
    there = evidence or some_evidence()
    return halves_of(there, units_of(there, temporal=False))


@pytest.mark.parametrize("loss", list(Loss))
def test_what_is_certified_holds_on_other_samples(loss: Loss) -> None:
    certificate = certify(halves(), PATH, Promise(loss=loss, epsilon=0.04), MANIFEST)
    others = some_evidence(20_000, seed=9)
    rules = [rule for rule in PATH.rules if str(rule) == certificate.rule]
    walks = walks_of(others, rules)
    assert losses_of(others, walks, loss, {1: 1.0, 2: 1.0, 4: 1.0}).mean() <= 0.04
    assert certificate.leave > 0.1


def test_a_step_more_would_not_hold() -> None:
    both = halves()
    certificate = certify(both, PATH, PROMISE, MANIFEST)
    rest = replace(PATH, rules=PATH.rules[certificate.step + 1 :])
    with pytest.raises(SettingsError, match="not even the strictest rule"):
        certify(both, rest, PROMISE, MANIFEST)


def test_the_same_samples_give_the_same_certificate() -> None:
    assert certify(halves(), PATH, PROMISE, MANIFEST) == certify(halves(), PATH, PROMISE, MANIFEST)


def test_shares_of_exits_and_operations_are_those_of_the_rule() -> None:
    rule = ExitRule(policy="confidence", thresholds=((1, 0.95), (2, 0.95)))
    both = halves()
    certificate = certify(both, Path(rules=(rule,), description="one"), PROMISE, MANIFEST)
    scores = {cut: scores_NS[:, 0] for cut, scores_NS in both.certifying.scores.items()}
    first = float(np.mean(scores[1] >= np.float32(0.95)))
    second = float(np.mean((scores[1] < np.float32(0.95)) & (scores[2] >= np.float32(0.95))))
    assert [there.share for there in certificate.exits] == pytest.approx([first, second])
    spent = first * 1_010 + second * 2_020 + (1 - first - second) * 4_020
    assert certificate.operations == pytest.approx(spent / 4_000)


def test_too_few_units_are_told_how_many_it_takes() -> None:
    with pytest.raises(SettingsError, match="too few for this promise .* it takes at least 299,"):
        certify(halves(some_evidence(200)), PATH, Promise(loss=Loss.DISAGREEMENT, epsilon=0.01), MANIFEST)


def test_groups_are_counted_instead_of_samples() -> None:
    both = halves(some_evidence(4_000, group=10))
    certificate = certify(both, PATH, Promise(loss=Loss.DISAGREEMENT, epsilon=0.1), MANIFEST)
    assert (certificate.unit, certificate.certified_on.units) == ("group", len(np.unique(both.certifying.group_N)))
    assert certificate.certified_on.samples == len(both.certifying)
    assert certificate.method == Method.WSR


def test_dependent_samples_promise_less_than_independent_ones() -> None:
    promise = Promise(loss=Loss.DISAGREEMENT, epsilon=0.08)
    alone, together = (certify(halves(some_evidence(group=size)), PATH, promise, MANIFEST) for size in (1, 20))
    assert together.step < alone.step


def test_no_unit_lies_in_both_halves() -> None:
    both = halves(some_evidence(1_000, group=10))
    assert not set(both.tuning.group_N) & set(both.certifying.group_N)


def test_units_are_shuffled_because_bets_depend_on_their_order() -> None:
    evidence = some_evidence(500)
    losses_NT = np.arange(500.0)[:, None]
    mixed_MT = in_units(losses_NT, units_of(evidence, temporal=False), seed=3)
    assert sorted(mixed_MT[:, 0]) == losses_NT[:, 0].tolist()
    assert (mixed_MT != losses_NT).any()


def test_samples_without_truth_promise_disagreement_alone() -> None:
    nameless = replace(some_evidence(), truth_N=np.full(4_000, -1))
    certificate = certify(halves(nameless), PATH, PROMISE, MANIFEST)
    assert certificate.accuracy is None
    with pytest.raises(SettingsError, match="promise a disagreement instead"):
        certify(halves(nameless), PATH, Promise(loss=Loss.DROP, epsilon=0.05), MANIFEST)


def test_promises_on_average_have_no_delta() -> None:
    certificate = certify(halves(), PATH, replace(PROMISE, method=Method.CRC), MANIFEST)
    assert certificate.delta is None
    assert "confidence" not in certificate.promise
