"""Every exit policy there is, by name.

A new one is a class that takes an ExitRule and follows `offramp.exits.policy.ExitPolicy`, in a file of its own, and a
line here. At a branch for which its rule has no threshold, nobody leaves.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from offramp.exits.fused import AtLeast, AtMost
from offramp.exits.over import Over
from offramp.exits.policy import BranchOutputs, Decision, ExitPolicy, Instance, State
from offramp.plan import NO_EXIT, ExitRule
from offramp.registry import Catalogue

POLICIES: Catalogue[Callable[[ExitRule], ExitPolicy]] = Catalogue(
    "exit policy",
    [
        ("confidence", AtLeast),
        ("entropy", AtMost),
        ("margin", AtLeast),
        ("own", AtLeast),
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
    policy = POLICIES[rule.policy](replace(rule, over=None))
    return policy if rule.over is None else Over(policy, open_policy(rule.over))


class Never(Instance):
    """Everybody stays to the end."""

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(np.zeros(len(outputs.scores_NS), dtype=np.bool_)), state
