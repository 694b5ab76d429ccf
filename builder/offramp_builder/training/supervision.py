"""Throw-away classifiers that hang on a trunk while it is trained (Lee and others, "Deeply-Supervised Nets", 2015).

Their losses make early features easier to classify, so that the branches that are fitted afterwards answer more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.training.listening import Listener, Place
from offramp_builder.training.objective import Batch, Labels
from offramp_builder.training.settings import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supervised:
    """A place in the trunk, and a classifier of what is heard there."""

    place: Place
    classifier: nn.Module


class Supervision(Labels):
    """What the end shall say, and `settings.supervise` times what the classifiers get wrong, added up."""

    def __init__(self, trunk: nn.Module, supervised: Sequence[Supervised], settings: TrainSettings) -> None:
        super().__init__(settings)
        self.classifiers = nn.ModuleList(one.classifier for one in supervised)
        self._places = [one.place for one in supervised]
        self._listener = Listener(trunk, self._places)

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        total = super().loss(logits_NK, batch)
        for place, classify in zip(self._places, self.classifiers, strict=True):
            said_NK = classify(self._listener.heard[place]).float()
            total = total + self.settings.supervise * functional.cross_entropy(said_NK, batch.truth_N)
        return total

    def close(self) -> None:
        self._listener.close()
