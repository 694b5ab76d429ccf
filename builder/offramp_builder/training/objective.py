"""What a training makes small.

# N samples, K classes
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What is known of the samples that the trunk has just seen."""

    truth_N: Tensor
    rows_N: Tensor
    """Which samples of the data set they are."""
    epoch: int


class Objective(nn.Module):
    """Told the logits of every batch; the modules that it holds learn together with the trunk."""

    @abstractmethod
    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        """Of the batch that the trunk has just seen; finite, a scalar."""

    def close(self) -> None:
        """The training is over: nothing is left hanging on the trunk."""


class Labels(Objective):
    """The end of the network shall say the label."""

    def __init__(self, *, smoothing: float = 0.0) -> None:
        """`smoothing` is the share of each target that is spread over all classes."""
        super().__init__()
        self.smoothing = smoothing

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        return functional.cross_entropy(logits_NK, batch.truth_N, label_smoothing=self.smoothing)
