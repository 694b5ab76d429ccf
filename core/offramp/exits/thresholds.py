"""Thresholds of a rule, checked against what they mean to its policy, and ready to be compared.

They are float32, as scores and logits are: to compare with a scalar of the same type costs a tenth of comparing with a
Python float.
"""

import math
from collections.abc import Mapping

import numpy as np

from offramp.errors import PlanError
from offramp.plan import ExitRule


def shares(rule: ExitRule) -> Mapping[int, float]:
    """By cut; each lies in [0, 1].

    Raises:
        PlanError: One does not.
    """
    for cut, threshold in rule.thresholds:
        if not 0.0 <= threshold <= 1.0:
            raise PlanError(
                f"threshold {threshold:g} of branch {cut} is out of range: those of {rule.policy} lie between 0 and 1; "
                f"write {rule.policy}:0.5@{cut}, for instance"
            )
    return dict(rule.thresholds)


def counts(rule: ExitRule) -> Mapping[int, int]:
    """By cut; each is a whole number of branches, one at least.

    Raises:
        PlanError: One is not.
    """
    for cut, threshold in rule.thresholds:
        if threshold < 1.0 or threshold != math.floor(threshold):
            raise PlanError(
                f"threshold {threshold:g} of branch {cut} counts nothing: {rule.policy} wants whole numbers of "
                f"branches, from 1 on; write {rule.policy}:2@{cut}, for instance"
            )
    return {cut: int(threshold) for cut, threshold in rule.thresholds}


def limits(thresholds: Mapping[int, float]) -> Mapping[int, np.float32]:
    """The same, to compare scores with."""
    return {cut: np.float32(threshold) for cut, threshold in thresholds.items()}
