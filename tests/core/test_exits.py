import numpy as np
import pytest

from offramp.bundle.manifest import SCORES
from offramp.errors import UnknownNameError
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.plan import NO_EXIT, ExitRule


def leaves(rule: ExitRule, **score: float) -> bool:
    """Whether a sample whose branch at cut 1 has these scores (others nan) leaves."""
    scores_1S = np.array([[score.get(name, np.nan) for name in SCORES]], np.float32)
    decision, _ = open_policy(rule).decide(BranchOutputs(1, np.zeros((1, 5), np.float32), scores_1S), NO_STATE)
    return bool(decision.leaves_N[0])


def at(policy: str, threshold: float) -> ExitRule:
    return ExitRule(policy=policy, thresholds=((1, threshold),))


@pytest.mark.parametrize("policy", ["confidence", "margin"])
def test_a_score_that_reaches_the_threshold_leaves(policy: str) -> None:
    assert leaves(at(policy, 0.9), **{policy: 0.9})
    assert leaves(at(policy, 0.9), **{policy: 0.95})
    assert not leaves(at(policy, 0.9), **{policy: 0.8999})


def test_entropy_leaves_when_it_is_low_enough() -> None:
    assert leaves(at("entropy", 0.3), entropy=0.3)
    assert leaves(at("entropy", 0.3), entropy=0.1)
    assert not leaves(at("entropy", 0.3), entropy=0.3001)


@pytest.mark.parametrize("policy", ["confidence", "margin", "entropy"])
def test_a_policy_looks_at_its_own_score_alone(policy: str) -> None:
    every = {name: 0.5 for name in SCORES if name != policy}
    assert not leaves(at(policy, 0.5), **every)


def test_none_never_leaves() -> None:
    assert not leaves(NO_EXIT, confidence=1.0, margin=1.0, entropy=0.0, own=1.0)


def test_a_misspelt_policy_is_told_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'entropy'"):
        open_policy(at("entrpy", 0.5))
