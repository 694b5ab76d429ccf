"""A recipe: everything that `offramp build` is told, as one value. `recipe_file` reads it from TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from offramp.errors import SettingsError
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.joint.settings import JointSettings
from offramp_builder.placement.settings import SearchSettings
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
    """Of the network, instead of random ones; whatever trains it goes on from there."""
    train: TrainSettings | None = None
    """The network alone."""
    joint: JointSettings | None = None
    """The network and its branches together, after that."""
    bottleneck: BottleneckSettings | None = None
    """Learned bottlenecks, on the network as it is after that; they need not be branches' neighbours."""
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
    """auto (the network's own; else two, where there is room), a number, names between commas, a rule such as even:3,
    stages or pareto:3, search, own, or none."""
    search: SearchSettings = field(default_factory=SearchSettings)
    """For branches = "search"; its drop is what a certificate promises too."""
    confidence: float | None = None
    """Of a certificate that exits cost no more accuracy than search.drop, in (0, 1); None: none is made."""
    branch_kind: str = "linear"
    branch_settings: BranchSettings = field(default_factory=BranchSettings)
    seed: int = 0
    branch_seed: int | None = None
    """Of the branches alone; None: the same. Several branch seeds on one trunk tell how much is luck."""
    int8: bool = False
    """Whether there is a head in int8, beside the one in float32."""
    save_weights: Path | None = None
    """Where to leave the trained network's weights, as `weights` reads them."""

    @property
    def learns(self) -> bool:
        """Whether the network is trained here."""
        return self.train is not None or self.joint is not None

    @property
    def seed_of_branches(self) -> int:
        return self.seed if self.branch_seed is None else self.branch_seed

    def __post_init__(self) -> None:
        if self.confidence is not None and not (0 < self.confidence < 1 and self.data and not self.untrained):
            raise SettingsError(
                f"no certificate can be had with --confidence {self.confidence:g}: that lies in (0, 1), such as 95%, "
                f"and it takes --data and a trained network"
            )
        if self.learns and not self.data:
            raise SettingsError("training needs samples; give --data, such as --data folder:PATH")
        if not self.learns and self.weights is None and not self.untrained:
            raise SettingsError(
                "the network has random weights; give --weights FILE, --train EPOCHS or --joint LOSS, "
                "or --untrained for a bundle that only measures speed"
            )
        if self.bottleneck is not None and (self.untrained or not self.data):
            raise SettingsError(
                f"a bottleneck at {self.bottleneck.at} is taught by a trained network, on samples; give --data and "
                f"--weights or --train, or leave the bottleneck out"
            )
        if self.bottleneck is not None and self.bottleneck.together and self.joint is None:
            raise SettingsError(
                "[bottleneck] together is for a network that learns together with its branches; give --joint LOSS or "
                "[joint], or leave together out"
            )
        if self.int8 and (self.untrained or not self.data):
            raise SettingsError(
                "a head in int8 is made of a trained network, on samples; give --data and --weights or --train, or "
                "leave --int8 out"
            )
        if self.save_weights is not None and not self.learns:
            raise SettingsError("there are no new weights to save: nothing is trained here; leave --save-weights out")
