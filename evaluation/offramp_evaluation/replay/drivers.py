"""Who says which plan a simulated device follows, and when.

Fixed       one plan, for ever
Planned     the cost formula, asked again and again with the device's own link estimate
Foreseeing  the same with the truth about the next period: an oracle, for comparison only
"""

from dataclasses import dataclass, replace
from typing import Protocol

from offramp.errors import PlanError
from offramp.measure.link import LinkEstimate
from offramp.plan import Plan
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

PERIOD = Seconds(1.0)
"""Between two choices: the pace of an orchestrator."""


class Driver(Protocol):
    """Follows the device through a replay."""

    @property
    def period(self) -> Seconds | None:
        """How often it is asked; None: once, at the start."""
        ...

    def choose(self, now: Seconds, link: LinkEstimate | None) -> Plan:
        """The plan from `now` on; `link` is what the device believes, None before it knows anything."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    plan: Plan
    period: Seconds | None = None

    def choose(self, now: Seconds, link: LinkEstimate | None) -> Plan:  # noqa: ARG002 - it looks at nothing
        return self.plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """The cost formula over all candidates, by what the device has measured."""

    model: CostModel
    accuracy_floor: float
    rate: float
    first: Situation
    """What is assumed until the device knows better."""
    period: Seconds | None = PERIOD

    def choose(self, now: Seconds, link: LinkEstimate | None) -> Plan:  # noqa: ARG002 - the estimate carries its age
        situation = self.first
        if link is not None:
            situation = Situation(bandwidth=link.bandwidth_low, round_trip=link.round_trip, rate=self.rate)
        return _best(self.model, situation, self.accuracy_floor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreseeing:
    """Knows what the link will carry until it is asked again. Nobody can deploy it."""

    model: CostModel
    accuracy_floor: float
    rate: float
    trace: Trace
    period: Seconds | None = PERIOD

    def choose(self, now: Seconds, link: LinkEstimate | None) -> Plan:  # noqa: ARG002 - it knows better
        ahead = PERIOD if self.period is None else self.period
        bits = 8 * float(Integral(self.trace).between(now, now + ahead))
        delay = float(self.trace.delay_at(now))
        situation = Situation(bandwidth=BitsPerSecond(bits / ahead), round_trip=Seconds(2 * delay), rate=self.rate)
        return _best(self.model, situation, self.accuracy_floor)


def _best(model: CostModel, situation: Situation, floor: float) -> Plan:
    try:
        chosen, _ = model.choose(situation, floor)
    except PlanError:
        # Nothing keeps up with the arrivals: then what takes least when they are let alone.
        chosen, _ = model.choose(replace(situation, rate=0.0), floor)
    return chosen.plan()
