"""How a trunk is trained."""

import math
from dataclasses import dataclass

from offramp.errors import SettingsError
from offramp.registry import unknown

OPTIMIZERS = ("auto", "sgd", "adamw", "muon")
_RATES = {"sgd": 0.1, "adamw": 1e-3, "muon": 0.05}
_DECAYS = {"sgd": 5e-4, "adamw": 0.05, "muon": 5e-4}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Stochastic gradient descent with a cosine schedule; the defaults suit small networks from scratch."""

    epochs: int
    batch: int = 128
    optimizer: str = "auto"
    """sgd (Nesterov momentum), adamw, muon, or auto: adamw for networks with attention, layer norms or recurrence."""
    rate: float | None = None
    """Peak learning rate; None takes the optimizer's default (sgd 0.1, adamw 0.001, muon 0.05)."""
    decay: float | None = None
    """Weight decay of matrices and kernels; None takes the optimizer's default (sgd and muon 0.0005, adamw 0.05)."""
    flip: bool | None = None
    """Mirror pictures at random: only where a mirrored picture keeps its class. None: as the data set says."""
    shift: float = 0.125
    """Move samples at random by up to this share of their side or length."""
    noise: float = 0.0
    """Standard deviation, at most, of noise on every value of a float32 signal; how much, is drawn for each sample."""
    small_first: tuple[tuple[int, int], ...] = ()
    """(epochs, pixels): so many epochs on pictures shrunk to that side come before the rest at full size.

    Early epochs cost half and teach nearly as much; only for networks that take pictures of any size.
    """
    smoothing: float = 0.0
    """Share of each target spread over all classes."""
    supervise: float = 0.0
    """Weight of the loss of throw-away classifiers at the exit points; they make early features easier to classify."""
    balance: float = 0.0
    """Draw rare classes more often than they come: 0 as they come, 1 all classes equally often."""
    epoch_size: int | None = None
    """Samples of an epoch; None: as many as there are."""
    teachers: tuple[str, ...] = ()
    """Weights of trained networks, whose mean answer is learned beside the labels: FILE, or MODEL=FILE where it is
    another network than the one that learns. They look at each sample as it is and, where pictures are mirrored, at
    its mirror image."""
    taught: float = 0.7
    """Share of the loss that is learned from teachers; the rest from the labels."""
    taught_temperature: float = 3.0
    """Divides both logits there."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise SettingsError(f"training takes at least 1 epoch of batches of 2, not {self.epochs} of {self.batch}")
        if self.epoch_size is not None and self.epoch_size < self.batch:
            raise SettingsError(f"an epoch of {self.epoch_size} samples is less than one batch of {self.batch}")
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(unknown("optimizer", self.optimizer, list(OPTIMIZERS)))
        if any(epochs < 1 or side < 8 for epochs, side in self.small_first):
            raise SettingsError(f"small_first {self.small_first} has pairs of at least 1 epoch and 8 pixels")
        if (small := sum(epochs for epochs, _ in self.small_first)) >= self.epochs:
            raise SettingsError(
                f"small_first has {small} epochs on shrunk pictures, which leaves none of {self.epochs} at full size; "
                f"give more epochs, or fewer of those in small_first"
            )
        for name, value, most in (
            ("shift", self.shift, 0.5),
            ("smoothing", self.smoothing, 0.9),
            ("balance", self.balance, 1),
            ("taught", self.taught, 1),
        ):
            if not 0 <= value <= most:
                raise SettingsError(f"{name} {value} is out of range; give one between 0 and {most}")
        if not (math.isfinite(self.taught_temperature) and self.taught_temperature > 0):
            raise SettingsError(f"taught_temperature {self.taught_temperature} must be a positive number, such as 3")

    def peak_rate(self, optimizer: str) -> float:
        return _RATES[optimizer] if self.rate is None else self.rate

    def weight_decay(self, optimizer: str) -> float:
        return _DECAYS[optimizer] if self.decay is None else self.decay

    def side_in(self, epoch: int) -> int | None:
        """Pixels that pictures are shrunk to in this epoch (from 0); None: they keep their size."""
        for epochs, side in self.small_first:
            if epoch < epochs:
                return side
            epoch -= epochs
        return None
