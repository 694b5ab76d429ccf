"""`sidenet`: global pooling and a perceptron with one hidden layer of 64 units, fitted to the labels by cross-entropy.

From "SideNet" (2007.13512): a single-hidden-layer perceptron on a trained, frozen network. The paper leaves open how
wide the layer is and how it is trained; here it has 64 units and rectifiers, and sees standardised features.
"""

from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import mean_variants
from offramp_builder.branches.standardising import fold, standardise

WIDTH = 64


class SideNetBranch:
    """Sees what `linear` sees, but need not divide it by planes."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return mean_variants(shape, lambda channels: _head(channels, classes))

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, hidden, rectifier, last = head.children()
        return nn.Sequential(fold(norm, hidden), rectifier, last).eval()


def _head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(standardise(channels), nn.Linear(channels, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes))
