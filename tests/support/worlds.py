"""A world that follows plans: samples with known confidences, hosts and a link that take what they take.

# M samples, B branches
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offramp.plan import Plan
from offramp.planning.strategies.strategy import Grounds, Strategy
from offramp.records import Answered, EdgeTimings, Result, Timings
from offramp.units import Seconds
from tests.support.plans import a_situation


@dataclass
class World:
    """Takes one sample after the other, as the profile says, times `device`; what is sent takes `away` seconds."""

    grounds: Grounds
    branch_confidence_MB: NDArray[np.float64]
    final_confidence_M: NDArray[np.float64]
    away: float = 0.02
    """From the uplink to the answer, from any split."""
    device: float = 1.0
    order_M: NDArray[np.int64] = field(default_factory=lambda: np.arange(0))

    def shuffled(self, seed: int) -> "World":
        order_M = np.random.default_rng(seed).permutation(len(self.final_confidence_M))
        return World(self.grounds, self.branch_confidence_MB, self.final_confidence_M, self.away, self.device, order_M)

    def run(self, plan: Plan, first: int, count: int) -> list[Result]:
        return [self.follow(plan, index) for index in range(first, first + count)]

    def follow(self, plan: Plan, index: int) -> Result:
        total = len(self.final_confidence_M)
        sample = int(self.order_M[index % total]) if len(self.order_M) else index % total
        profile, end = self.grounds.device, self.grounds.manifest.end
        here, head = 0, 0.0
        for cut, threshold in plan.exit.thresholds:
            head += profile.segment(here, cut, branch=True).median * self.device
            here = cut
            sure = self.branch_confidence_MB[sample, self._branch(cut)]
            if sure >= threshold:
                return _result(index, Answered.DEVICE, sure, cut, head)
        head += profile.segment(here, plan.split).median * self.device
        final = self.final_confidence_M[sample]
        if plan.split == end:
            return _result(index, Answered.DEVICE, final, end, head)
        encode = profile.encode[f"{plan.split}:{plan.codec}"].median * self.device
        return _result(index, Answered.EDGE, final, end, head, encode, self.away)

    def play(self, strategy: Strategy, samples: int, *, period: int = 10, first: int = 0) -> list[tuple[Plan, Result]]:
        """Choose, follow, learn; once per period."""
        history = []
        for start in range(first, first + samples, period):
            plan = strategy.choose(a_situation()).plan
            results = self.run(plan, start, period)
            strategy.learn(results)
            history += [(plan, result) for result in results]
        return history

    def _branch(self, cut: int) -> int:
        return [branch.cut for branch in self.grounds.manifest.branches].index(cut)


def _result(
    index: int, answered: Answered, confidence: float, cut: int, head: float, encode: float = 0.0, away: float = 0.0
) -> Result:
    return Result(
        stream="a",
        index=index,
        answered=answered,
        label=0,
        confidence=float(confidence),
        exit=cut,
        latency=Seconds(head + encode + away),
        timings=Timings(
            head=Seconds(head),
            encode=Seconds(encode),
            away=Seconds(away),
            edge=EdgeTimings() if answered is Answered.EDGE else None,
        ),
    )
