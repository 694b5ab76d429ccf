"""Which modules of a trunk are supervised while it is trained: those where branches will hang."""

from collections.abc import Sequence

from torch import Tensor, nn

from offramp_builder.branches.kind import Answer, logits_of
from offramp_builder.branches.training import fitting_variants
from offramp_builder.capture import Captured
from offramp_builder.training.supervision import Supervised


def throw_away_classifiers(captured: Captured, positions: Sequence[int], kind: str) -> list[Supervised]:
    """Classifiers of `kind` for the cuts that are the output of a module; an operation between modules has no hook."""
    modules = dict(captured.road.named_modules())
    found = []
    for position in positions:
        name = f"model.{captured.cuts[position].name}"
        if name in modules and captured.cuts[position].split:
            found += [
                Supervised(module=name, classifier=nn.Sequential(variant.pool, variant.head, _Logits()))
                for variant in fitting_variants(captured, position, kind)
            ]
    return found


class _Logits(nn.Module):
    """What supervision asks of any kind: a confidence of its own has nothing to learn from labels alone."""

    def forward(self, answer: Answer) -> Tensor:
        return logits_of(answer)
