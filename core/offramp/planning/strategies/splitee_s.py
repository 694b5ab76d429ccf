"""SplitEE-S: SplitEE with side information (Bajpai, Trivedi, Yadav and Hanawal, 2023, arXiv 2309.09195).

A sample that runs to split k passes every branch before it, so it also tells what the shallower arms would have earned.
The paper asks all these branches and decides at the deepest one. A Result tells only where its sample left; so here an
arm *leaves at the first branch that is sure*, and that is what a Result tells about shallower arms:

    it left at branch b          every arm that reaches b would have let it leave there, for the same cost
    it passed b, unsure          an arm that ends at b would have sent it

What sending it from there would have cost is the cost model's prediction at the time of the choice, stretched by what
samples say about such predictions; what it would have been answered is taken to be as sure as the deepest answer that
is known: the edge's, where it was sent. A branch on the way costs its time, as in the paper.
"""

from collections.abc import Sequence

import numpy as np

from offramp.planning.situation import Situation
from offramp.planning.strategies.chain import away_seconds, model_of
from offramp.planning.strategies.splitee import WORST, SplitEE, answered, cost_of
from offramp.planning.strategies.strategy import Choice, Grounds
from offramp.records import Answered, Result

STRETCH = 4.0
"""A prediction is taken to be off by this factor at most, either way."""
GAIN = 0.1
"""Weight of the newest sample in what predictions are off by."""


class SplitEES(SplitEE):
    """Every sample counts for the arm that was played and all that end before it."""

    name = "splitee-s"

    def __init__(self, grounds: Grounds, text: str = "") -> None:
        super().__init__(grounds, text)
        model = model_of(grounds, self._arms)
        self._model_of_arms = model
        self._deepest = [max(item.exit.asked, default=-1) for item in self._arms]
        self._head_A, self._encode_A = model.times.head_C.tolist(), model.times.encode_C.tolist()
        self._exits_A = [
            {cut: float(seconds) for (cut, _), seconds in zip(item.exit.thresholds, exit_E, strict=False)}
            for item, exit_E in zip(self._arms, model.times.exit_CE, strict=True)
        ]
        self._away_A = [0.0] * len(self._arms)
        self._stretch = 1.0

    def choose(self, situation: Situation) -> Choice:
        self._away_A = np.minimum(away_seconds(self._model_of_arms, situation), self._deadline).tolist()
        return super().choose(situation)

    def _asked(self, branches: Sequence[int], split: int) -> Sequence[int]:  # noqa: ARG002 - all, wherever it splits
        return branches

    def _rewards(self, played: int, result: Result) -> dict[int, float]:
        if not answered(result):
            return {played: WORST}
        left_at = result.exit if result.answered is Answered.DEVICE else None
        slow = self._slowness(played, left_at, result)
        if left_at is None and result.timings.away > 0 and self._away_A[played] > 0:
            off = result.timings.away / self._away_A[played]
            self._stretch += GAIN * (min(max(off, 1 / STRETCH), STRETCH) - self._stretch)
        own = self._reward(result.confidence, cost_of(result))
        rewards = {played: own}
        for arm in range(played):
            if left_at is not None and left_at <= self._deepest[arm]:
                rewards[arm] = own
            else:
                device = (self._head_A[arm] + self._encode_A[arm]) * slow
                rewards[arm] = self._reward(result.confidence, device + self._away_A[arm] * self._stretch)
        return rewards

    def _slowness(self, played: int, left_at: int | None, result: Result) -> float:
        """Of the device, by this sample: what it took there over what it should have."""
        head = self._head_A[played]
        expected = head if left_at is None else self._exits_A[played].get(left_at, head)
        return min(max(result.timings.head / expected, 1 / STRETCH), STRETCH) if expected > 0 else 1.0
