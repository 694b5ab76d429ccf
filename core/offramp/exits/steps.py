"""How far up its policy's path a sample would still leave: the one number that says how strict a rule may become.

    path of confidence    0.4  0.5  0.6 … 0.93  0.95 … 0.995
    step                   0    1    2  …   7     8  …   12
    a score of 0.94                         ▲ leaves at 7 and below, stays at 8 and above

# S fused scores
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import isnan

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.plan import NO_EXIT, ExitRule


class Steps:
    """The path of one policy that reads a fused score: thresholds from lenient to strict, rising or falling."""

    def __init__(self, policy: str, path: Sequence[float]) -> None:
        self.policy = policy
        self._path = tuple(path)
        self._sign = 1.0 if path[-1] >= path[0] else -1.0
        self._column = SCORES.index(policy)
        # As policies compare: a score is float32, and so is what it is compared with.
        self._rising = [self._sign * float(np.float32(threshold)) for threshold in path]

    def __len__(self) -> int:
        return len(self._path)

    def reached(self, scores_S: NDArray[np.float32]) -> int:
        """The strictest step at which a sample with these scores leaves; -1 when it leaves at none."""
        score = float(scores_S[self._column])
        return -1 if isnan(score) else bisect_right(self._rising, self._sign * score) - 1

    def of(self, rule: ExitRule) -> int:
        """The step at which a rule stands: of its most lenient threshold; between two steps, the lower one."""
        lowest = min(self._sign * float(np.float32(threshold)) for _, threshold in rule.thresholds)
        return max(0, bisect_right(self._rising, lowest) - 1)

    def raised(self, rule: ExitRule, step: int) -> ExitRule:
        """The rule with no threshold more lenient than this step's; past the end of the path, nobody leaves."""
        if step >= len(self._path):
            return NO_EXIT
        stricter = max if self._sign > 0 else min
        return ExitRule(
            policy=rule.policy,
            thresholds=tuple((cut, stricter(threshold, self._path[step])) for cut, threshold in rule.thresholds),
        )
