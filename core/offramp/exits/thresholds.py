"""Thresholds of a rule, checked against what they mean to its policy, and ready to be compared.

A float32 scalar is compared with an array twice as fast as a Python float is, and devices decide about one sample at a
time.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from offramp.errors import PlanError
from offramp.plan import ExitRule

Limit = NDArray[np.float32]
"""One number, in an array of no dimensions."""


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


def limits(thresholds: Mapping[int, float]) -> Mapping[int, Limit]:
    """The same, as `limit_of`."""
    return {cut: limit_of(threshold) for cut, threshold in thresholds.items()}


def limit_of(threshold: float) -> Limit:
    """Scores and logits are float32, and so is what they are compared with."""
    return np.array(threshold, np.float32)
