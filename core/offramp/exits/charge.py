"""What a rule costs in operations: every stage and every branch that a sample went through is charged.

    stage ─ stage ─ branch ─ stage ─ branch ─► left here: all five
                      └ asked in vain, and charged all the same

# N samples
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.exits.walk import STAYED, Walked


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Multiply-accumulates of one sample, wherever they are done; any other unit that adds up does as well."""

    before: Mapping[int, float]
    """By cut: all stages before it."""
    branch: Mapping[int, float]
    """By cut: the branch that hangs there, alone."""
    whole: float
    """All stages."""

    @classmethod
    def of(cls, manifest: Manifest) -> "Charge":
        before = list(accumulate((float(stage.macs) for stage in manifest.stages), initial=0.0))
        return cls(
            before=dict(enumerate(before)),
            branch={branch.cut: float(branch.macs) for branch in manifest.branches},
            whole=before[-1],
        )

    def of_each(self, walked: Walked, asked: Sequence[int]) -> NDArray[np.float64]:
        """[N] of samples that walked past the branches at the cuts `asked`, in order."""
        branches = list(accumulate((self.branch[cut] for cut in asked), initial=0.0))
        spent_N = np.full(len(walked.left_at_N), self.whole + branches[-1])
        for cut, met in zip(asked, branches[1:], strict=True):
            spent_N[walked.left_at_N == cut] = self.before[cut] + met
        return spent_N

    def mean(self, walked: Walked, asked: Sequence[int]) -> float:
        """Of a sample; nan of none."""
        count = len(walked.left_at_N)
        if not count:
            return float("nan")
        spent, met = 0.0, 0.0
        for cut in asked:
            met += self.branch[cut]
            spent += int(np.count_nonzero(walked.left_at_N == cut)) * (self.before[cut] + met)
        return (spent + int(np.count_nonzero(walked.left_at_N == STAYED)) * (self.whole + met)) / count

    def share(self, walked: Walked, asked: Sequence[int]) -> float:
        """The mean, as a share of the network without exits."""
        return self.mean(walked, asked) / self.whole
