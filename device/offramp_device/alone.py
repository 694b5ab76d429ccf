"""A device that nobody steers chooses among its bundle's candidates by itself, by what it has measured.

own profile, link estimate, arrivals ─► Situation ─► strategy ─► Choice
"""

from dataclasses import replace
from statistics import median

from offramp.bundle.manifest import Manifest
from offramp.clock import Clock
from offramp.measure.link import LinkEstimate
from offramp.measure.profile import Profile
from offramp.plan import Plan
from offramp.planning.candidates import Candidates
from offramp.planning.objective import Objective
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Choice, Grounds
from offramp.telemetry import DeviceReport
from offramp.units import BitsPerSecond, Seconds
from offramp_device.timing import completed

EDGE_FASTER = 8.0
"""How much faster than this board an edge is taken to be, until one has answered. Too much of it is corrected by the
first answer; too little never, for then nothing is sent."""
WEIGHT = 0.3
"""Of the newest comparison of the edge with what was expected of it."""
BOUNDS = (0.02, 50.0)
"""What a host may turn out to be, as a multiple of what was expected of it."""


class Alone:
    """Of one device with one bundle; not safe from several threads."""

    def __init__(
        self,
        manifest: Manifest,
        candidates: Candidates,
        profile: Profile,
        objective: Objective,
        strategy: str,
        clock: Clock,
    ) -> None:
        """
        Raises:
            InputError: There is no such strategy, or the objective looks at what nobody knows here.
        """
        self._device = completed(profile, manifest)
        self._edge = guessed_edge(self._device)
        grounds = Grounds(
            manifest=manifest,
            candidates=candidates,
            device=self._device,
            edge=self._edge,
            clock=clock,
            objective=objective,
        )
        self._strategy = open_strategy(strategy, grounds)
        self._agreements = {item.plan(): item.agreement for item in candidates.candidates}
        self._edge_slow = 1.0

    def choose(self, report: DeviceReport, *, regular: bool, caution: int, paces: dict[str, float]) -> Choice:
        """The plan for what is reported; without a connection, one that sends nothing.

        Args:
            report: Of this moment.
            regular: Samples arrive in step.
            caution: That branches deserve.
            paces: Seconds of segments and codecs while serving, by name.
        """
        link = report.link if report.edge else None
        known = {"regular": regular, "caution": caution, "device_slow": self._slow(paces)}
        if link is None:
            # Silence of a link that was there, or none yet: as long as it lasts, nothing crosses it.
            outage = Situation(bandwidth=BitsPerSecond(0.0), round_trip=Seconds(0.0), rate=report.rate, **known)  # type: ignore[arg-type]
            return self._strategy.choose(outage)
        return self._strategy.choose(Situation.from_link(link, report.rate, edge_slow=self._edge_slow, **known))

    def learn(self, plan: Plan, link: LinkEstimate | None) -> None:
        """What requests of this plan take at the edge tells how fast it is."""
        if link is None or plan.codec == "none" or not link.edge:
            return
        expected = self._edge.segment(plan.split, self._edge.end, via=plan.via).expected
        if decode := self._edge.decode.get(f"{plan.split}:{plan.codec}"):
            expected += decode.expected
        if expected > 0:
            self._edge_slow += WEIGHT * (_bounded(link.edge / expected) - self._edge_slow)

    def agreement(self, plan: Plan) -> float:
        """That the plan's exits promise; 0 where nothing is known."""
        return self._agreements.get(plan, 0.0)

    def _slow(self, paces: dict[str, float]) -> float:
        ratios = [
            paces[name] / cost.median for name, cost in self._device.segments.items() if name in paces and cost.median
        ]
        return _bounded(median(ratios)) if ratios else 1.0


def guessed_edge(device: Profile) -> Profile:
    """An edge of which nothing is known but that it is no board; an emulated one is slow by itself alone."""
    factor = 1 / (EDGE_FASTER * device.slowdown)
    return replace(
        device,
        host="an edge, guessed",
        slowdown=1.0,
        segments={name: cost.times(factor) for name, cost in device.segments.items()},
        decode={name: cost.times(1 / EDGE_FASTER) for name, cost in device.decode.items()},
    )


def _bounded(factor: float) -> float:
    return min(max(factor, BOUNDS[0]), BOUNDS[1])
