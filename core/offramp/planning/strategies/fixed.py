"""One plan, for ever: `fixed:split=3, exit=confidence:0.9`."""

from offramp.errors import PlanError
from offramp.planning.resolve import resolve
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy


class Fixed(Strategy):
    """Follows what a person wrote, in every situation."""

    def __init__(self, grounds: Grounds, text: str) -> None:
        """
        Raises:
            PlanError: No plan is given, or the bundle cannot follow it.
        """
        if not text:
            raise PlanError("fixed needs its plan; write one after the colon, such as fixed:split=0, codec=jpeg:90")
        self._model, self._deadline = grounds.model, grounds.objective.deadline
        self._plan = resolve(text, grounds.manifest)

    def choose(self, situation: Situation) -> Choice:
        forecast = self._model.forecast_plan(self._plan, situation, self._deadline)
        return Choice(plan=self._plan, forecast=forecast, why="fixed: this plan was asked for, whatever the link does")
