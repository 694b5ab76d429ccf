"""The whole network on the device: no exits, nothing is sent."""

from offramp.plan import Plan
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy


class AllDevice(Strategy):
    """The baseline without an edge."""

    def __init__(self, grounds: Grounds) -> None:
        self._model, self._deadline = grounds.model, grounds.objective.deadline
        self._plan = Plan(split=grounds.manifest.end)

    def choose(self, situation: Situation) -> Choice:
        forecast = self._model.forecast_plan(self._plan, situation, self._deadline)
        return Choice(plan=self._plan, forecast=forecast, why="all-device: the link is not used")
