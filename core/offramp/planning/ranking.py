"""The best candidate for an objective, and what had to be given up for it.

    all ─► keep up ─► accurate enough ─► enough within the deadline ─► within the budgets ─► the least of the goal

When nobody is left at the end, one constraint is given up after the other, the last first: of those who hold the rest,
whoever misses it by least is taken. When nobody keeps up, the plan that would be first if samples came one by one.

# C candidates
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offramp.planning.cost import CostModel, Costs
from offramp.planning.forecast import Forecast
from offramp.planning.objective import Goal, Objective
from offramp.planning.situation import Situation
from offramp.units import format_bytes, format_seconds

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEARLY = 1e-9
"""Differences up to this are none: whoever is cheaper is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """Who came first."""

    place: int
    rivals: int
    """Candidates that hold all that could be held, this one included."""
    given_up: str
    """What nobody can hold, for people; empty when everything is held."""
    score: float
    """What is made small, dearer by what the time at the edge is charged with; infinite where it cannot keep up."""


class Ranking:
    """Of one model's candidates, by one objective. Keeps no state."""

    def __init__(self, model: CostModel, objective: Objective) -> None:
        self._model, self._objective = model, objective
        self._missing_C = _missing_accuracy(model, objective)
        self._accurate_C = self._missing_C <= 0

    def best(self, situation: Situation, among_C: Mask | None = None) -> Best:
        """Of all, or of some (of which there is one at least)."""
        wanted = self._objective
        costs = self._model.costs(situation, wanted)
        score_C = self.score(costs, situation)
        keeps_up_C = costs.feasible_C if among_C is None else costs.feasible_C & among_C
        accurate_C = keeps_up_C & self._accurate_C
        punctual_C = accurate_C if costs.hits_C is None else accurate_C & (costs.hits_C >= wanted.hits)
        excess_C = _excess(costs, wanted)
        thrifty_C = punctual_C if excess_C is None else punctual_C & (excess_C <= 1)
        if thrifty_C.any():
            return _cheapest(thrifty_C, score_C)
        if excess_C is not None and punctual_C.any():
            return _cheapest(_least(excess_C, punctual_C), score_C, given_up=_budgets(wanted))
        if costs.hits_C is not None and accurate_C.any():
            return _cheapest(_least(-costs.hits_C, accurate_C), score_C, given_up=_punctuality(wanted))
        if keeps_up_C.any():
            return _cheapest(_least(self._missing_C, keeps_up_C), score_C, given_up=_accuracy(wanted))
        if situation.rate > 0:
            alone = self.best(replace(situation, rate=0.0), among_C)
            return replace(alone, given_up=f"keeping up with {situation.rate:g} samples a second", score=np.inf)
        everybody_C = np.ones(len(score_C), dtype=np.bool_) if among_C is None else among_C
        lightest = _cheapest(everybody_C, costs.wire_bytes_C, given_up="an answer of the edge in time")
        return replace(lightest, score=np.inf)

    def score(self, costs: Costs, situation: Situation) -> Floats:
        """[C] what is made small: the goal, dearer by what the time at the edge is charged with."""
        value_C = costs.value(self._objective.minimise)
        if situation.price > 0:
            value_C = value_C * (1 + situation.price * costs.edge_seconds_C / costs.mean_C)
        return np.where(costs.feasible_C, value_C, np.inf)


def score_of(forecast: Forecast, objective: Objective, situation: Situation) -> float:
    """The same of one plan."""
    value = {
        Goal.LATENCY: forecast.mean,
        Goal.P95: forecast.p95,
        Goal.ENERGY: forecast.energy,
        Goal.BYTES: forecast.wire_bytes,
        Goal.EDGE: forecast.edge_seconds,
    }[objective.minimise]
    assert value is not None, "grounds refuse an objective that looks at energy which nobody knows"
    return float(value) * (1 + situation.price * forecast.edge_seconds / forecast.mean)


def broken(forecast: Forecast, objective: Objective) -> frozenset[str]:
    """Names of the constraints that a plan does not hold, `feasible` among them."""
    held = {
        "feasible": forecast.feasible,
        "accuracy": objective.accuracy is None or forecast.accuracy_low >= objective.accuracy,
        "drop": objective.drop is None or forecast.loss_high <= objective.drop,
        "hits": forecast.hits >= objective.hits,
        "energy": objective.energy is None or forecast.energy is None or forecast.energy <= objective.energy,
        "bytes": objective.bytes is None or forecast.wire_bytes <= objective.bytes,
    }
    return frozenset(name for name, holds in held.items() if not holds)


def _missing_accuracy(model: CostModel, objective: Objective) -> Floats:
    """[C] how far each is from what is promised; 0 or less: it holds it."""
    roads = model.roads
    missing_C = np.full(len(roads.items), -np.inf)
    if objective.accuracy is not None:
        missing_C = objective.accuracy - roads.accuracy_low_C
    if objective.drop is not None:
        missing_C = np.maximum(missing_C, roads.loss_high_C - objective.drop)
    return missing_C


def _excess(costs: Costs, objective: Objective) -> Floats | None:
    """[C] share of its tightest budget that each spends; None when there is no budget."""
    budgets = ((costs.energy_C, objective.energy), (costs.wire_bytes_C, objective.bytes))
    spent = [spent_C / max(budget, NEARLY) for spent_C, budget in budgets if spent_C is not None and budget is not None]
    return np.maximum.reduce(spent) if spent else None


def _least(miss_C: Floats, among_C: Mask) -> Mask:
    """Those among them who miss by least."""
    miss_C = np.where(among_C, miss_C, np.inf)
    return np.asarray(miss_C <= miss_C.min() + NEARLY)


def _cheapest(among_C: Mask, score_C: Floats, given_up: str = "") -> Best:
    place = int(np.where(among_C, score_C, np.inf).argmin())
    return Best(place=place, rivals=int(np.count_nonzero(among_C)), given_up=given_up, score=float(score_C[place]))


def _budgets(objective: Objective) -> str:
    energy = "" if objective.energy is None else f"{objective.energy:g} J"
    size = "" if objective.bytes is None else format_bytes(objective.bytes)
    return f"the budget of {' and '.join(filter(None, (energy, size)))} per sample"


def _punctuality(objective: Objective) -> str:
    return f"{100 * objective.hits:g} % of the answers within {format_seconds(objective.deadline)}"


def _accuracy(objective: Objective) -> str:
    floor = "" if objective.accuracy is None else f"an accuracy of {100 * objective.accuracy:g} %"
    drop = "" if objective.drop is None else f"a loss of at most {100 * objective.drop:g} % accuracy"
    return " and ".join(filter(None, (floor, drop)))
