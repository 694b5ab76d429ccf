"""The ways to run the same frames: plans that stay, and the one that the orchestrator keeps choosing."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.cost import CostModel
from offramp.planning.objective import Objective
from offramp.planning.situation import Situation
from offramp.units import Seconds
from offramp_evaluation.demo.script import Phase, Script

USUAL_INPUT = Plan(split=0, codec="jpeg:90")
"""What is sent when no JPEG is among the candidates: another input codec was smaller and no worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One row of the table."""

    name: str
    about: str
    """One line for the reader."""
    plan: Plan | None = None
    """That it keeps; None: the orchestrator chooses, again and again."""

    @property
    def adapts(self) -> bool:
        return self.plan is None


class Chooser:
    """Picks the plans that stay by the cost formula, among the candidates that a bundle ships."""

    def __init__(self, candidates: Candidates, cost: CostModel, script: Script, objective: Objective) -> None:
        self._items = candidates.candidates
        self._cost = cost
        self._script = script
        self._objective = objective

    def contenders(self) -> tuple[Contender, ...]:
        """In the order of the table.

        Raises:
            PlanError: The bundle has no candidate of some kind.
        """
        device = self._fixed(lambda item: item.codec == "none" and not item.exit.thresholds)
        edge = self._fixed(lambda item: item.split == 0 and item.codec.startswith("jpeg")) or USUAL_INPUT
        split = self._fixed(lambda item: item.split > 0 and item.codec != "none" and not item.exit.thresholds)
        best = self._fixed(lambda _item: True)
        if device is None or split is None or best is None:
            raise PlanError("the bundle ships no candidate without exits; build it again with this version of offramp")
        return (
            Contender(name="device only", about="the whole network on the device; the link is not used", plan=device),
            Contender(name="edge only", about=f"every frame to the edge as {_named(edge.codec)}", plan=edge),
            Contender(
                name="split", about=f"no exits; split at cut {split.split}, its feature as {split.codec}", plan=split
            ),
            Contender(name="best static", about=f"the best plan that stays, all links known: {best}", plan=best),
            Contender(name="Offramp", about="exits, split and codec, kept at their best by the orchestrator"),
        )

    def _fixed(self, fits: Callable[[Candidate], bool]) -> Plan | None:
        """The fitting candidate that is fastest over the phases, among those that hold the accuracy.

        While it is infeasible, a frame is answered at the deadline, at best. When none holds the accuracy, the most
        accurate; when none fits, none.
        """
        items = self._items
        places = [place for place, item in enumerate(items) if fits(item)]
        if not places:
            return None
        holding = [place for place in places if _is_accurate(items[place], self._objective)]
        if not holding:
            return max((items[place] for place in places), key=lambda item: item.accuracy).plan()
        times = [self._cost.latency(self._situation(phase)) for phase in self._script.phases]

        def total(place: int) -> tuple[int, float]:
            found = [float(latency_C[place]) for latency_C in times]
            infeasible = sum(one == inf for one in found)
            return infeasible, sum(min(one, self._objective.deadline) for one in found)

        return items[min(holding, key=total)].plan()

    def _situation(self, phase: Phase) -> Situation:
        link = phase.link
        return Situation(bandwidth=link.up, round_trip=Seconds(2 * link.delay), rate=self._script.rate)


def _is_accurate(item: Candidate, objective: Objective) -> bool:
    enough = objective.accuracy is None or item.accuracy_low >= objective.accuracy
    return enough and (objective.drop is None or item.loss_high <= objective.drop)


def _named(codec: str) -> str:
    base, _, quality = codec.partition(":")
    return f"{base.upper()} of quality {quality}"
