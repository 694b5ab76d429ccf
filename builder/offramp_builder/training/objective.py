"""What a training makes small.

# N samples, K classes
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.training.distilling import distillation
from offramp_builder.training.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What is known of the samples that the trunk has just seen."""

    truth_N: Tensor
    rows_N: Tensor
    """Which samples of the data set they are."""
    epoch: int
    told_NK: Tensor | None = None
    """Logits of the settings' teachers; None where there are none."""


class Objective(nn.Module):
    """Told the logits of every batch; the modules that it holds learn together with the trunk."""

    @abstractmethod
    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        """Of the batch that the trunk has just seen; finite, a scalar."""

    def close(self) -> None:
        """The training is over: nothing is left hanging on the trunk."""


class Labels(Objective):
    """The end of the network shall say the label, and what its teachers say where it has some."""

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__()
        self.settings = settings

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        return taught(logits_NK, batch, self.settings)


def taught(logits_NK: Tensor, batch: Batch, settings: TrainSettings) -> Tensor:
    """Cross-entropy with the labels; of that and distillation a weighted mean where there are teachers."""
    labels = functional.cross_entropy(logits_NK, batch.truth_N, label_smoothing=settings.smoothing)
    if batch.told_NK is None:
        return labels
    told = distillation(logits_NK, batch.told_NK, settings.taught_temperature)
    return (1 - settings.taught) * labels + settings.taught * told
