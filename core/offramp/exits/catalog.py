"""Every exit policy there is, by name.

A new one is a class that takes an ExitRule and follows `offramp.exits.policy.ExitPolicy`, in a file of its own, and a
line here. At a branch for which its rule has no threshold, nobody leaves.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from offramp.exits.difference import Difference
from offramp.exits.exclusion import Exclusion, MonotoneExclusion
from offramp.exits.fused import AtLeast, AtMost
from offramp.exits.over import Over
from offramp.exits.patience import Patience
from offramp.exits.policy import BranchOutputs, Decision, ExitPolicy, Instance, State
from offramp.exits.raw import RawConfidence, RawEntropy, RawMargin
from offramp.exits.recall import Recall
from offramp.exits.temporal_patience import TemporalPatience
from offramp.plan import NO_EXIT, ExitRule
from offramp.registry import Catalogue

_SURE = (0.995, 0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)
_SPREAD = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
_STRUCK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 0.99)
_REACH = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)
_APART = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the catalogue."""

    open: Callable[[ExitRule], ExitPolicy]
    thresholds: tuple[float, ...]
    """Worth trying, from strict to lenient."""
    counts: bool = False
    """Thresholds are whole numbers of branches."""


POLICIES: Catalogue[Kind] = Catalogue(
    "exit policy",
    [
        ("confidence", Kind(AtLeast, _SURE)),
        ("entropy", Kind(AtMost, _SPREAD)),
        ("margin", Kind(AtLeast, (*_SURE, 0.2))),
        ("own", Kind(AtLeast, (*_SURE, 0.3, 0.2, 0.1))),
        ("raw-confidence", Kind(RawConfidence, _SURE)),
        ("raw-entropy", Kind(RawEntropy, _SPREAD)),
        ("raw-margin", Kind(RawMargin, (*_SURE, 0.2))),
        ("exclusion", Kind(Exclusion, _STRUCK)),
        ("exclusion-monotone", Kind(MonotoneExclusion, _STRUCK)),
        ("patience", Kind(Patience, tuple(range(20, 0, -1)), counts=True)),
        ("difference", Kind(Difference, _APART)),
        ("temporal-patience", Kind(TemporalPatience, (*_SURE, 0.2, 0.0))),
        ("recall", Kind(Recall, _REACH)),
    ],
)


def open_policy(rule: ExitRule) -> ExitPolicy:
    """The policy that follows the rule; for `none`, one that never lets anybody leave.

    Raises:
        UnknownNameError: No such policy; the message has the near miss.
        PlanError: A threshold means nothing to its policy.
    """
    if rule.policy == NO_EXIT.policy:
        return Never()
    policy = POLICIES[rule.policy].open(replace(rule, over=None))
    return policy if rule.over is None else Over(policy, open_policy(rule.over))


class Never(Instance):
    """Everybody stays to the end."""

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(np.zeros(len(outputs.scores_NS), dtype=np.bool_)), state
