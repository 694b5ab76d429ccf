"""Where a trunk is supervised while it is trained: where branches will hang."""

from collections.abc import Sequence

from torch import Tensor, nn

from offramp_builder.branches.kind import Answer, logits_of
from offramp_builder.branches.training import fitting_variants
from offramp_builder.capture import Captured
from offramp_builder.training.listening import find_places
from offramp_builder.training.supervision import Supervised


def throw_away_classifiers(captured: Captured, positions: Sequence[int], kind: str) -> list[Supervised]:
    """Classifiers of `kind` for the cuts that can be heard while the trunk runs."""
    return [
        Supervised(place=place, classifier=nn.Sequential(variant.pool, variant.head, _Logits()))
        for position, place in find_places(captured, positions).items()
        for variant in fitting_variants(captured, position, kind)
    ]


class _Logits(nn.Module):
    """What supervision asks of any kind: a confidence of its own has nothing to learn from labels alone."""

    def forward(self, answer: Answer) -> Tensor:
        return logits_of(answer)
