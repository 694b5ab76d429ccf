"""A recipe: everything that `offramp build` is told, as one value. `recipe_file` reads it from TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from offramp.errors import SettingsError
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.training.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to come from a network and data to a bundle."""

    model: str
    """`zoo:NAME`, or `package.module:factory`."""
    name: str = ""
    """What a person calls the bundle; empty: the model's name."""
    data: str = ""
    """`kind:PATH`, see `offramp.data`; empty: none, and nothing can be trained or calibrated."""
    limit: int | None = None
    """At most so many samples of each part."""
    weights: Path | None = None
    train: TrainSettings | None = None
    untrained: bool = False
    """Accept a network that nobody trained: for measuring speed, never for answers."""
    shape: tuple[int, ...] | None = None
    """Of a raw sample, where neither the data nor the zoo fix it."""
    kind: str | None = None
    """Of the raw sample, where neither the data nor the zoo say: image, audio, ecg or array."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """Per channel, of values in [0, 1]; empty: from the data where the network is trained here, else 0 and 1."""
    labels: tuple[str, ...] = ()
    cuts: str = "auto"
    """auto, all, a number, or names between commas."""
    branches: str = "auto"
    """auto (two, where there is room), a number, names between commas, or none."""
    branch_kind: str = "linear"
    branch_settings: BranchSettings = field(default_factory=BranchSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.train and not self.data:
            raise SettingsError("training needs samples; give --data, such as --data folder:PATH")
        if not self.train and self.weights is None and not self.untrained:
            raise SettingsError(
                "the network has random weights; give --weights FILE or --train EPOCHS, "
                "or --untrained for a bundle that only measures speed"
            )
