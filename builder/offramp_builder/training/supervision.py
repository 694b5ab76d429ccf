"""Throw-away classifiers that hang on a trunk while it is trained (Lee and others, "Deeply-Supervised Nets", 2015).

Their losses make early features easier to classify, so that the branches that are fitted afterwards answer more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supervised:
    """A module of the trunk, and a classifier of its output."""

    module: str
    """Its name inside the trunk."""
    classifier: nn.Module


class Supervision(nn.Module):
    """Listens to modules of a trunk in training mode, and adds up what their classifiers get wrong."""

    def __init__(self, trunk: nn.Module, supervised: Sequence[Supervised]) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(one.classifier for one in supervised)
        self._features: dict[int, Tensor] = {}
        self._hooks = [
            trunk.get_submodule(one.module).register_forward_hook(self._listener(index))
            for index, one in enumerate(supervised)
        ]

    def loss(self, truth_N: Tensor) -> Tensor:
        """Of the batch that the trunk has just seen; 0 where nothing is supervised."""
        losses = [
            functional.cross_entropy(classify(self._features.pop(index)).float(), truth_N)
            for index, classify in enumerate(self.classifiers)
        ]
        return torch.stack(losses).sum() if losses else torch.zeros(())

    def detach(self) -> None:
        """Stop listening; a trunk with hooks cannot be captured."""
        for hook in self._hooks:
            hook.remove()

    def _listener(self, index: int) -> Any:
        def listen(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            if self.training:
                self._features[index] = output.clone()  # a later in-place operation would change it unnoticed

        return listen
