"""The cost model: what each candidate would cost on these hosts, in this situation.

    latency = wait for the device + stages and branches executed there
            + share sent × (encode + wait for the uplink + bits / bandwidth + round trip + wait, decode and tail there)

One vectorised expression over all candidates (`journey`, over the arrays of `roads`); no network is run.

# C candidates
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.measure.energy import EnergyModel
from offramp.measure.profile import Profile
from offramp.plan import Plan
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.forecast import Forecast
from offramp.planning.journey import Journey
from offramp.planning.objective import DEFAULT_OBJECTIVE, Goal, Objective
from offramp.planning.roads import Roads, key
from offramp.planning.situation import Situation
from offramp.units import Seconds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of every candidate; what the objective does not ask is None."""

    mean_C: Floats
    """Seconds from arrival to Result, infinite where infeasible."""
    feasible_C: NDArray[np.bool_]
    """Neither device nor uplink is overloaded, what is sent comes back in time as a rule, and exits are as careful as
    the situation demands."""
    wire_bytes_C: Floats
    edge_seconds_C: Floats
    p95_C: Floats | None
    hits_C: Floats | None
    energy_C: Floats | None

    def value(self, goal: Goal) -> Floats:
        """What is made small."""
        value_C = {
            Goal.LATENCY: self.mean_C,
            Goal.P95: self.p95_C,
            Goal.ENERGY: self.energy_C,
            Goal.BYTES: self.wire_bytes_C,
            Goal.EDGE: self.edge_seconds_C,
        }[goal]
        assert value_C is not None, f"{goal} was not asked for"
        return value_C


class CostModel:
    """Predicts what every candidate of one bundle costs between one device and one edge. Keeps no state."""

    def __init__(
        self, candidates: Candidates, device: Profile, edge: Profile, energy: EnergyModel | None = None
    ) -> None:
        self.device, self.edge, self.energy = device, edge, energy
        self.roads = Roads(candidates)
        self.times = self.roads.timed(device, edge)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return self.roads.items

    def retimed(self, *, device: Profile | None = None, edge: Profile | None = None) -> "CostModel":
        """The same candidates on hosts that turned out to be faster or slower."""
        other = CostModel.__new__(CostModel)
        other.device, other.edge, other.energy = device or self.device, edge or self.edge, self.energy
        other.roads = self.roads
        other.times = self.roads.timed(other.device, other.edge)
        return other

    def find(self, plan: Plan) -> int | None:
        """Its place among the candidates; None when it is none of them: they ask nothing further of the edge."""
        if plan.tail.thresholds or plan.mask:
            return None
        return self.roads.places.get(key(plan))

    def latency(self, situation: Situation, deadline: Seconds = DEFAULT_OBJECTIVE.deadline) -> Floats:
        """[C] mean seconds from arrival to Result; infinite where infeasible."""
        journey = Journey(self.roads, self.times, situation, deadline)
        return journey.latency()

    def costs(self, situation: Situation, objective: Objective = DEFAULT_OBJECTIVE) -> Costs:
        """Everything that the objective asks, of every candidate."""
        journey = Journey(self.roads, self.times, situation, objective.deadline)
        return Costs(
            mean_C=journey.latency(),
            feasible_C=journey.feasible_C,
            wire_bytes_C=journey.wire_bytes_C,
            edge_seconds_C=journey.edge_seconds_C,
            p95_C=journey.p95() if objective.minimise is Goal.P95 else None,
            hits_C=journey.hits() if objective.hits > 0 else None,
            energy_C=journey.joules(self.energy) if self.energy and objective.asks_energy else None,
        )

    def forecast(self, place: int, situation: Situation, deadline: Seconds = DEFAULT_OBJECTIVE.deadline) -> Forecast:
        """All about one candidate."""
        journey = Journey(self.roads.only(place), self.times.only(place), situation, deadline)
        item = self.candidates[place]
        return Forecast(
            feasible=bool(journey.feasible_C[0]),
            mean=Seconds(float(journey.mean_C[0])),
            p95=Seconds(float(journey.p95()[0])),
            hits=float(journey.hits()[0]),
            energy=None if self.energy is None else float(journey.joules(self.energy)[0]),
            wire_bytes=float(journey.wire_bytes_C[0]),
            edge_seconds=float(journey.edge_seconds_C[0]),
            accuracy=item.accuracy,
            accuracy_low=item.accuracy_low,
            loss_high=item.loss_high,
            parts=journey.parts(),
        )

    def forecast_plan(
        self, plan: Plan, situation: Situation, deadline: Seconds = DEFAULT_OBJECTIVE.deadline
    ) -> Forecast | None:
        """The same of any plan that is among the candidates; None of others."""
        place = self.find(plan)
        return None if place is None else self.forecast(place, situation, deadline)
