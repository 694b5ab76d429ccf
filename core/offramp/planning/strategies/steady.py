"""Margin and dwell around any strategy, so that plans do not flap.

A change costs: segments are opened and warmed, the link's estimate meets other sizes. So a plan stays in force until
another one promises clearly more, or until it no longer does what was asked of it.
"""

from collections.abc import Sequence

from offramp.planning.forecast import Forecast
from offramp.planning.objective import Goal
from offramp.planning.ranking import broken, score_of
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.records import Result
from offramp.units import Seconds

MARGIN = 0.05
"""Share of the goal that a change has to gain: half of what predictions are off by, as a rule."""
LEAST_GAIN = Seconds(0.5e-3)
"""And where the goal is a latency, so many seconds: less is lost in the noise of any two machines."""
DWELL = Seconds(1.0)
"""Between two changes that are only worth it: the pace at which devices report."""


class Steady(Strategy):
    """Changes when the other plan gains more than the margin, once per dwell; at once when the plan in force fails."""

    def __init__(
        self,
        grounds: Grounds,
        inner: Strategy,
        *,
        margin: float = MARGIN,
        least_gain: Seconds = LEAST_GAIN,
        dwell: Seconds = DWELL,
    ) -> None:
        self._model, self._objective, self._clock = grounds.model, grounds.objective, grounds.clock
        self._inner = inner
        self._margin, self._dwell = margin, dwell
        self._least_gain = least_gain if grounds.objective.minimise in (Goal.LATENCY, Goal.P95) else 0.0
        self._held: Choice | None = None
        self._since = Seconds(0.0)

    def choose(self, situation: Situation) -> Choice:
        offered = self._inner.choose(situation)
        held = self._held
        if held is None:
            return self._change(offered)
        forecast = self._model.forecast_plan(held.plan, situation, self._objective.deadline)
        if offered.plan == held.plan:
            self._held = offered
            return offered
        keep = self._reason_to_keep(forecast, offered.forecast, situation)
        if keep is None:
            return self._change(offered)
        self._held = Choice(plan=held.plan, forecast=forecast, why=keep)
        return self._held

    def learn(self, results: Sequence[Result]) -> None:
        self._inner.learn(results)

    def _change(self, offered: Choice) -> Choice:
        self._held, self._since = offered, self._clock.now()
        return offered

    def _reason_to_keep(self, held: Forecast | None, offered: Forecast | None, situation: Situation) -> str | None:
        """None: change."""
        waited = self._clock.now() - self._since
        if held is None or offered is None:  # nothing to compare: only the dwell speaks
            return None if waited >= self._dwell else self._too_soon(waited)
        if broken(held, self._objective) - broken(offered, self._objective):
            return None
        before, after = (score_of(one, self._objective, situation) for one in (held, offered))
        gain = before - after
        if gain <= max(self._margin * before, self._least_gain):
            share = 100 * gain / before if before > 0 else 0.0
            return f"kept: another plan would gain {share:.1f} %, and a change has to gain {100 * self._margin:g} %"
        return None if waited >= self._dwell else self._too_soon(waited)

    def _too_soon(self, waited: float) -> str:
        return f"kept: the last change was {waited:.1f} s ago, and plans stay for {self._dwell:g} s"
