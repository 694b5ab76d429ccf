"""Every exit policy there is, by name.

A new one is a class that takes an ExitRule and follows `offramp.exits.policy.ExitPolicy`, in a file of its own, and a
line here. At a branch for which its rule has no threshold, nobody leaves.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.exits.confidence import Confidence
from offramp.exits.entropy import Entropy
from offramp.exits.margin import Margin
from offramp.exits.policy import BranchOutputs, ExitPolicy, State
from offramp.plan import NO_EXIT, ExitRule
from offramp.registry import Catalogue

POLICIES: Catalogue[Callable[[ExitRule], ExitPolicy]] = Catalogue(
    "exit policy",
    [
        ("confidence", Confidence),
        ("entropy", Entropy),
        ("margin", Margin),
    ],
)


def open_policy(rule: ExitRule) -> ExitPolicy:
    """The policy that follows the rule; for `none`, one that never lets anybody leave.

    Raises:
        UnknownNameError: No such policy; the message has the near miss.
    """
    return Never() if rule.policy == NO_EXIT.policy else POLICIES[rule.policy](rule)


class Never:
    """Everybody stays to the end."""

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[NDArray[np.bool_], State]:
        return np.zeros(len(outputs.scores_NS), dtype=np.bool_), state
