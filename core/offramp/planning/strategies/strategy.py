"""A strategy: a function from a situation to a plan, which may learn from what became of it.

Grounds ─► open_strategy ─► Strategy ── choose(situation) ─► Choice(plan, forecast, why)
                               ▲                                     │
                               └──── learn(results) ◄── device ◄─────┘
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from offramp.bundle.manifest import Manifest
from offramp.clock import Clock
from offramp.errors import SettingsError
from offramp.measure.energy import EnergyModel
from offramp.measure.profile import Profile
from offramp.plan import Plan
from offramp.planning.candidates import Candidates
from offramp.planning.cost import CostModel
from offramp.planning.forecast import Forecast
from offramp.planning.objective import DEFAULT_OBJECTIVE, Objective
from offramp.planning.situation import Situation
from offramp.records import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A plan, and the reason for it."""

    plan: Plan
    """Without a revision: whoever sends it numbers it."""
    forecast: Forecast | None
    """What is expected of it; None where nothing is known about it."""
    why: str
    """One plain sentence, with numbers."""


class Strategy(Protocol):
    """Chooses plans for one device. Not safe from several threads."""

    def choose(self, situation: Situation) -> Choice: ...

    def learn(self, results: Sequence[Result]) -> None:
        """What became of the samples that followed the plan chosen last; stragglers of an earlier one are left out.

        Nothing is learned unless a strategy says how.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """All that a strategy may know before it sees a situation. Devices that are alike may share them."""

    manifest: Manifest
    candidates: Candidates
    device: Profile
    edge: Profile
    clock: Clock
    """Of whoever asks: a replay's stands still between two choices."""
    objective: Objective = DEFAULT_OBJECTIVE
    energy: EnergyModel | None = None
    seed: int = 0
    """For those who explore."""
    model: CostModel = field(init=False, compare=False, repr=False)
    """Of these candidates on these hosts; shared by all who choose on the same grounds."""

    def __post_init__(self) -> None:
        if self.objective.asks_energy and self.energy is None:
            raise SettingsError(
                f"the objective {str(self.objective)!r} looks at energy, but nothing says what this board draws; "
                "give its power (--power 3.5 --radio lte), or leave energy out"
            )
        model = CostModel(self.candidates, self.device, self.edge, self.energy)
        object.__setattr__(self, "model", model)

    def retimed(self, *, device: Profile | None = None, edge: Profile | None = None) -> "Grounds":
        """The same on hosts that turned out to be faster or slower."""
        return replace(self, device=device or self.device, edge=edge or self.edge)
