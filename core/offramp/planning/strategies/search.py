"""All candidates in one vectorised expression: the default."""

from offramp.planning.forecast import Forecast
from offramp.planning.objective import Goal
from offramp.planning.ranking import Best, Ranking
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.units import format_bytes, format_seconds


class Search(Strategy):
    """The candidate with the least of the goal among those that hold the objective's constraints.

    When none does, constraints are given up in the order energy and bytes, hits, accuracy; `why` says so.
    """

    def __init__(self, grounds: Grounds) -> None:
        self._model, self._objective = grounds.model, grounds.objective
        self._ranking = Ranking(grounds.model, grounds.objective)

    def choose(self, situation: Situation) -> Choice:
        best = self._ranking.best(situation)
        forecast = self._model.forecast(best.place, situation, self._objective.deadline)
        plan = self._model.candidates[best.place].plan()
        return Choice(plan=plan, forecast=forecast, why=reason(best, forecast, self._objective.minimise))


def reason(best: Best, forecast: Forecast, goal: Goal) -> str:
    """Why this one, in one sentence."""
    if best.given_up:
        return f"no plan holds {best.given_up}; of those that come nearest, this one has {amount(goal, forecast)}"
    if best.rivals == 1:
        return f"{amount(goal, forecast)}; no other plan holds the objective"
    return f"{amount(goal, forecast)}, the least of {best.rivals:,} plans that hold the objective"


def amount(goal: Goal, forecast: Forecast) -> str:
    """What the goal is about, with its number: `43.6 ms on average`."""
    match goal:
        case Goal.LATENCY:
            return f"{format_seconds(forecast.mean)} on average"
        case Goal.P95:
            return f"{format_seconds(forecast.p95)} in 95 of 100 cases"
        case Goal.ENERGY:
            return f"{forecast.energy or 0.0:.3g} J per sample"
        case Goal.BYTES:
            return f"{format_bytes(forecast.wire_bytes)} per sample"
        case Goal.EDGE:
            return f"{format_seconds(forecast.edge_seconds)} of the edge per sample"
