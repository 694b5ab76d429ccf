"""Which plan would have been best for a whole trace, once all of it is known.

    plans ── static replay over the whole trace ──► latency of every sample under every plan ──► the best few

Where a plan would have been refused or late for a while, the static replay knows no more than that: such a sample
counts as answered at the deadline. So who wants the best one replays the best few, event by event.

# C plans, N samples
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offramp.plan import Plan
from offramp.units import Seconds
from offramp_evaluation.replay.static import Floats, StaticReplay
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace


class Hindsight:
    """Some plans over the same samples and arrivals, asked about many links."""

    def __init__(
        self,
        static: StaticReplay,
        plans: Sequence[Plan],
        rows: NDArray[np.intp],
        arrivals: Floats,
        *,
        deadline: Seconds,
    ) -> None:
        self.plans = tuple(plans)
        self._static = static
        self._deadline = deadline
        self._walks = [static.walk(plan, rows, arrivals) for plan in self.plans]

    def latency(self, up: Trace, down: Trace) -> Floats:
        """[C] mean seconds over all samples, each at most the deadline."""
        there, back = Integral(up), Integral(down)
        # What never comes back is infinitely late; behind it, in one queue, infinities are subtracted.
        with np.errstate(invalid="ignore"):
            found = [self._static.finish(walk, there, back).latency_N for walk in self._walks]
        return np.array([np.minimum(np.nan_to_num(one_N, nan=np.inf), self._deadline).mean() for one_N in found])

    def best(self, up: Trace, down: Trace, count: int) -> list[Plan]:
        """The plans of least mean latency, the best first."""
        order = np.argsort(self.latency(up, down), kind="stable")
        return [self.plans[place] for place in order[:count]]
