"""How branches are fitted, whatever their kind."""

import math
from dataclasses import dataclass

from offramp.errors import SettingsError
from offramp.registry import unknown

EENETS_LOSSES = ("v1", "v2")
SCALINGS = ("temperature", "vector")


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchSettings:
    """The defaults teach each branch the labels alone."""

    distill: float = 0.0
    """Share of the loss that asks a branch to say what the end of the network says; the rest is the kind's own."""
    distill_temperature: float = 3.0
    """Divides both logits there: the higher, the more the unlikely classes count."""
    cost_weight: float = 1.0
    """EENets' lambda: nats that all operations of the network are worth. Higher, and samples leave earlier."""
    eenets_loss: str = "v2"
    """v1 counts the answers of the whole road; v2, EENets' default, those of every road that begins at an exit too."""
    scaling: str = "temperature"
    """What calibrates: a temperature, or `vector`, a scale and a bias for each class of the branches where that says
    more of samples that it was not fitted to."""

    def __post_init__(self) -> None:
        if not 0 <= self.distill <= 1:
            raise SettingsError(f"distill {self.distill} is a share of the loss; give one between 0 and 1")
        if not (math.isfinite(self.distill_temperature) and self.distill_temperature > 0):
            raise SettingsError(f"distill_temperature {self.distill_temperature} must be a positive number, such as 3")
        if not (math.isfinite(self.cost_weight) and self.cost_weight >= 0):
            raise SettingsError(f"cost_weight {self.cost_weight} must be 0 or more; 1 is EENets' own")
        if self.eenets_loss not in EENETS_LOSSES:
            raise SettingsError(unknown("EENets loss", self.eenets_loss, list(EENETS_LOSSES)))
        if self.scaling not in SCALINGS:
            raise SettingsError(unknown("scaling", self.scaling, list(SCALINGS)))
