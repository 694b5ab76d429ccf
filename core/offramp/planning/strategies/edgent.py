"""Edgent: the most accurate (exit point, partition) pair that meets a deadline (Li, Zhou and Chen, SIGCOMM workshop
MECOMM 2018; with Zeng and Chen, IEEE Transactions on Wireless Communications 2020).

*Right-sizing* picks one exit point for all samples: whoever runs the network leaves there, sure or not. *Partition* is
the cut before it at which the edge takes over. The deadline is the objective's; its other wishes are not looked at.

    exit point n, partition k    split=k, the edge finishes
    exit point b, partition b    split=b, exit=confidence:0@b: everybody leaves at b

Pairs with the partition before an early exit point are left out: no candidate has exits at the edge. Where one of these
would be chosen, the pair (n, k) answers later and better, or (b, b) sends nothing. The paper predicts by regressions
per kind of layer, here it is the measured profile; it sends features as they are, here each recorded codec makes a pair
of its own. When no pair meets the deadline, the paper answers nothing, and we take the fastest.

Its dynamic variant, a map from bandwidth states to pairs that is looked up when a change is detected, is whoever calls
`choose` again when the link changes: the choice takes less than a look-up would save.

# C candidates
"""

from dataclasses import replace

import numpy as np

from offramp.bundle.specs import BranchSpec
from offramp.plan import ExitRule
from offramp.planning.bounds import wilson_low
from offramp.planning.candidates import Candidate
from offramp.planning.resolve import resolve
from offramp.planning.situation import Situation
from offramp.planning.strategies.chain import chosen, imagined, model_of, one_sample, plain
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.units import format_seconds


class Edgent(Strategy):
    """Accuracy first, as long as the deadline holds for one sample."""

    def __init__(self, grounds: Grounds) -> None:
        self._objective = grounds.objective
        sized = [_right_sized(grounds, branch) for branch in grounds.manifest.branches]
        self._model = model_of(grounds, [*plain(grounds), *filter(None, sized)])
        self._accuracy_C = np.array([item.accuracy for item in self._model.candidates])

    def choose(self, situation: Situation) -> Choice:
        seconds_C = one_sample(self._model, situation)
        careful_C = self._model.roads.step_C >= situation.caution  # leaving unsure is what drift forbids first
        seconds_C = np.where(careful_C | (situation.caution == 0), seconds_C, np.inf)
        deadline = self._objective.deadline
        meets_C = seconds_C <= deadline
        # Of equally accurate ones the fastest: the last key sorts first.
        order_C = np.lexsort((seconds_C, np.where(meets_C, -self._accuracy_C, np.inf)))
        place = int(order_C[0])
        seconds, allowed = format_seconds(float(seconds_C[place])), format_seconds(deadline)
        why = (
            f"edgent: the most accurate of {int(meets_C.sum())} pairs that meet {allowed}: it takes {seconds}"
            if meets_C[place]
            else f"edgent: no pair meets {allowed}; the fastest takes {seconds}"
        )
        return chosen(self._model, place, situation, self._objective, why)


def _right_sized(grounds: Grounds, branch: BranchSpec) -> Candidate | None:
    """Everybody leaves at this branch; None where nobody knows what that is worth."""
    accuracy = _accuracy_of_leaving(grounds, branch)
    if accuracy is None:
        return None
    rule = ExitRule(policy="confidence", thresholds=((branch.cut, 0.0),))
    split = grounds.manifest.split_from(branch.cut)
    codec = resolve(f"split={split}", grounds.manifest).codec  # a plan names one, used or not
    everybody = imagined(grounds, split, codec, 0.0, rule=rule, offload=0.0)
    return replace(
        everybody,
        accuracy=accuracy,
        accuracy_low=wilson_low(accuracy, grounds.candidates.groups),
        loss_high=1.0,  # sample by sample, nobody kept count
        agreement=accuracy,  # at least: who is right at the branch agrees with whoever is right later
    )


def _accuracy_of_leaving(grounds: Grounds, branch: BranchSpec) -> float | None:
    """From a candidate that lets everybody leave at this branch alone, else from the manifest."""
    for item in grounds.candidates.candidates:
        if item.offload == 0 and item.exit.asked == (branch.cut,):
            return item.accuracy
    return branch.accuracy
