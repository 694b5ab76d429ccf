"""The four ways to run the same frames, and how their plans are chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.units import Seconds
from offramp_evaluation.demo.script import Phase, Script

USUAL_INPUT = Plan(split=0, codec="jpeg:90")
"""What is sent when no JPEG is among the candidates: another input codec was smaller and no worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One row of the table: a plan for each phase."""

    name: str
    about: str
    """One line for the reader."""
    plans: tuple[Plan, ...]

    @property
    def adapts(self) -> bool:
        return len(set(self.plans)) > 1


class Chooser:
    """Picks plans by the cost formula, among the candidates that a bundle ships."""

    def __init__(self, candidates: Candidates, cost: CostModel, script: Script, drop: float) -> None:
        """`drop` is the loss of accuracy, against the whole network, that is acceptable."""
        self._all = candidates.candidates
        self._cost = cost
        self._script = script
        self.floor = candidates.full_accuracy - drop
        """What a plan has to reach on the calibration split."""

    def contenders(self) -> tuple[Contender, ...]:
        """In the order of the table.

        Raises:
            PlanError: The bundle has no candidate of some kind, or no plan keeps up with the frames.
        """
        phases = self._script.phases
        device = self._fixed(lambda item: item.codec == "none" and not item.exit.thresholds)
        edge = self._fixed(lambda item: item.split == 0 and item.codec.startswith("jpeg")) or USUAL_INPUT
        split = self._fixed(lambda item: item.split > 0 and item.codec != "none" and not item.exit.thresholds)
        if device is None or split is None:
            raise PlanError("the bundle ships no candidate without exits; build it again with this version of offramp")
        offramp = tuple(self._cost.choose(self._situation(phase), self.floor)[0].plan() for phase in phases)
        return (
            _steady("device only", "the whole network on the device; the link is not used", device, phases),
            _steady("edge only", f"every frame to the edge as {_named(edge.codec)}", edge, phases),
            _steady("split", f"no exits; split at cut {split.split}, its feature as {split.codec}", split, phases),
            Contender(
                name="Offramp", about="exits, split and codec chosen for each link by the cost formula", plans=offramp
            ),
        )

    def _fixed(self, fits: Callable[[Candidate], bool]) -> Plan | None:
        """The fitting candidate that is fastest over the phases with a link, among those that hold the floor.

        When none holds it, the most accurate; when none fits, none.
        """
        places = [place for place, item in enumerate(self._all) if fits(item)]
        if not places:
            return None
        holding = [place for place in places if self._all[place].accuracy >= self.floor]
        if not holding:
            return max((self._all[place] for place in places), key=lambda item: item.accuracy).plan()
        times = [self._cost.latency(self._situation(phase)) for phase in self._script.phases if not phase.link.is_out]

        def total(place: int) -> tuple[int, float]:
            finite = [float(latency_C[place]) for latency_C in times if latency_C[place] < inf]
            return len(times) - len(finite), sum(finite)  # first of all feasible wherever it can be

        return self._all[min(holding, key=total)].plan()

    def _situation(self, phase: Phase) -> Situation:
        link = phase.link
        return Situation(bandwidth=link.up, round_trip=Seconds(2 * link.delay), rate=self._script.rate)


def _steady(name: str, about: str, plan: Plan, phases: Sequence[Phase]) -> Contender:
    return Contender(name=name, about=about, plans=(plan,) * len(phases))


def _named(codec: str) -> str:
    base, _, quality = codec.partition(":")
    return f"{base.upper()} of quality {quality}"
