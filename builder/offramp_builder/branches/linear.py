"""`linear`: global pooling and one linear layer; a few hundred multiply-accumulates."""

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import mean_variants
from offramp_builder.branches.standardising import fold, standardise


class LinearBranch:
    """Logits of a linear layer, fitted to the labels by cross-entropy."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return mean_variants(shape, lambda channels: _head(channels, classes))

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, linear = head.children()
        return fold(norm, linear)


def _head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(standardise(channels), nn.Linear(channels, classes))
