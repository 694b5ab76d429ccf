"""The protocol of an exit policy.

# N samples, K classes, S fused scores (see `offramp.bundle.manifest.SCORES`)
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

State = object
"""What a policy remembers of one stream; opaque to everybody else. Instance policies have none: NO_STATE."""
NO_STATE: State = None


@dataclass(slots=True)
class BranchOutputs:
    """What one branch (or the end of the network) said about N samples."""

    cut: int
    logits_NK: NDArray[np.float32]
    scores_NS: NDArray[np.float32]


class ExitPolicy(Protocol):
    """Decides, branch by branch, who is sure enough to leave.

    Sequential within a stream, vectorised across streams: row i of the outputs belongs to the i-th sample that is
    still on the road.
    """

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[NDArray[np.bool_], State]:
        """[N] True where the sample leaves here, and the state for the next branch."""
        ...
