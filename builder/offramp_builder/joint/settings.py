"""How a trunk and its branches are trained together."""

import math
from dataclasses import dataclass

from offramp.errors import SettingsError
from offramp.registry import unknown
from offramp_builder.training.settings import TrainSettings

LOSSES = ("branchynet", "eenets", "exclusion", "distill")
VERSIONS = ("v0", "v1", "v2", "v3", "v4")


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSettings(TrainSettings):
    """Those of any training, and what all exits together are to make small."""

    loss: str
    """branchynet, eenets, exclusion or distill: see docs/training.md."""
    weights: tuple[float, ...] = ()
    """branchynet, distill: of each branch, then of the end. Empty: 1 for all, but 0.3 for branchynet's end, the paper's
    best."""
    version: str = "v2"
    """eenets: which of its losses."""
    answers_first: int = 0
    """eenets: so many of the epochs teach answers alone (v0) before the version's turn: its two-stage schedule."""
    cost_weight: float = 1.0
    """eenets: nats that all operations of the network are worth. Higher, and samples leave earlier."""
    distill: float = 0.5
    """distill: share of what branches learn from the end; the rest from the labels."""
    temperature: float = 3.0
    """distill: divides both logits there."""
    features: float = 0.0
    """distill: weight of how far the branches' features are from the network's last ones."""

    def __post_init__(self) -> None:
        TrainSettings.__post_init__(self)  # super() does not know the class that slots=True makes
        if self.loss not in LOSSES:
            raise SettingsError(unknown("joint loss", self.loss, list(LOSSES)))
        if self.version not in VERSIONS:
            raise SettingsError(unknown("EENets loss", self.version, list(VERSIONS)))
        if self.supervise:
            raise SettingsError("supervise adds throw-away branches, where the real ones are trained; leave it out")
        if self.teachers and self.loss == "eenets":
            raise SettingsError(
                "eenets learns from labels what leaving is worth, not from teachers; leave teachers out"
            )
        if not 0 <= self.answers_first < self.epochs:
            raise SettingsError(
                f"answers_first {self.answers_first} leaves none of {self.epochs} epochs for confidences; "
                f"give at least 0 and fewer than epochs"
            )
        if not 0 <= self.distill <= 1:
            raise SettingsError(f"distill {self.distill} is a share of the loss; give one between 0 and 1")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise SettingsError(f"temperature {self.temperature} must be a positive number, such as 3")
        for name, values in (("weights", self.weights), *((one, (getattr(self, one),)) for one in _AT_LEAST_0)):
            if not all(math.isfinite(value) and value >= 0 for value in values):
                raise SettingsError(f"{name} {values} must be 0 or more")


_AT_LEAST_0 = ("cost_weight", "features")
