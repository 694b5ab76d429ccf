"""Every sample to the edge as it is, compressed: the baseline to beat."""

import numpy as np

from offramp.codecs.usual import known_codecs
from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.candidates import input_format
from offramp.planning.ranking import Ranking
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy


class AllEdge(Strategy):
    """Split 0 without exits, by the best codec of one family (`all-edge:jpeg`) or of all (`all-edge`).

    A family that is worth no candidate, because another was smaller and no worse, is sent by its first codec.
    """

    def __init__(self, grounds: Grounds, family: str = "") -> None:
        """
        Raises:
            PlanError: The bundle's samples cannot be written this way.
        """
        self._model, self._deadline = grounds.model, grounds.objective.deadline
        self._family = family
        self._ranking = Ranking(grounds.model, grounds.objective)
        self._among_C = np.array(
            [
                item.split == 0 and not item.exit.thresholds and family in ("", input_format(item.codec))
                for item in grounds.candidates.candidates
            ],
            dtype=np.bool_,
        )
        codecs = known_codecs(grounds.manifest)[0]
        self._otherwise = next((codec for codec in codecs if family in ("", input_format(codec))), None)
        if self._otherwise is None and not self._among_C.any():
            families = ", ".join(dict.fromkeys(input_format(codec) for codec in codecs))
            raise PlanError(f"samples of {grounds.manifest.name!r} cannot be sent as {family!r}; known: {families}")

    def choose(self, situation: Situation) -> Choice:
        sent = f"all-edge: every sample is sent as {self._family or 'its best codec writes it'}"
        if not self._among_C.any():
            assert self._otherwise is not None  # refused above
            return Choice(plan=Plan(split=0, codec=self._otherwise), forecast=None, why=sent)
        best = self._ranking.best(situation, self._among_C)
        plan = self._model.candidates[best.place].plan()
        forecast = self._model.forecast(best.place, situation, self._deadline)
        return Choice(plan=plan, forecast=forecast, why=f"{sent}, here {plan.codec}")
