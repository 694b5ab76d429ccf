"""`ensemble`: global pooling, then four linear layers that share one matrix; their probabilities are averaged.

    W_j = W ∘ (s_j r_jᵀ)      member j: ((x ∘ s_j) W) ∘ r_j + b_j, four vectors of its own to one matrix for all

BatchEnsemble, on the exit alone, where four times the operations are still few. (LP-BNN, 2012.02818, puts it into the
whole network and draws the vectors from small autoencoders.) As there, each training sample teaches one member drawn at
random and all answer afterwards; the vectors begin as random signs.

The logits are logarithms of the averaged probabilities. The branch's own confidence is how far the members agree: the
largest probability that every one of them grants to one and the same class. The paper leaves open how agreement is
measured; this one is low where members contradict each other, and where they agree that they do not know.

# N samples, C channels, J members, K classes
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, Lesson, Variant, logits_of
from offramp_builder.branches.pooling import mean_variants
from offramp_builder.branches.standardising import shift_and_scale, standardise

MEMBERS = 4


class EnsembleBranch:
    """Four opinions for the parameters of little more than one."""

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return mean_variants(shape, lambda channels: nn.Sequential(standardise(channels), _Members(channels, classes)))

    def loss(self, answer: Answer, lesson: Lesson, _index: int, /) -> Tensor:
        return functional.cross_entropy(logits_of(answer), lesson.truth_N)

    def finish(self, head: nn.Module, /) -> nn.Module:
        norm, members = head.children()
        assert isinstance(members, _Members)
        mean_C, factor_C = shift_and_scale(norm)
        folded = _Members(*members.matrix_CK.shape)
        with torch.no_grad():
            folded.matrix_CK.copy_(members.matrix_CK)
            folded.results_JK.copy_(members.results_JK)
            folded.inputs_JC.copy_(members.inputs_JC * factor_C)
            folded.bias_JK.copy_(members.bias_JK - folded.opinions(mean_C.unsqueeze(0))[0])
        return folded.eval()


class _Members(nn.Module):
    """[N, C] to logits [N, K] and agreement [N]; in training the logits are those of one member for each sample."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.matrix_CK = nn.Parameter(torch.empty(channels, classes))
        nn.init.uniform_(self.matrix_CK, -1 / math.sqrt(channels), 1 / math.sqrt(channels))
        self.inputs_JC = nn.Parameter(_signs(channels))
        self.results_JK = nn.Parameter(_signs(classes))
        self.bias_JK = nn.Parameter(torch.zeros(MEMBERS, classes))

    def forward(self, mean_NC: Tensor) -> tuple[Tensor, Tensor]:
        log_p_NJK = torch.log_softmax(self.opinions(mean_NC) + self.bias_JK, dim=2)
        p_NJK = log_p_NJK.exp()
        agreement_N = p_NJK.amin(dim=1).amax(dim=1)
        if self.training:
            member_N = torch.randint(MEMBERS, (len(mean_NC),))
            return log_p_NJK[torch.arange(len(mean_NC)), member_N], agreement_N
        # Not below the least float that is no denormal: its logarithm has to stay finite.
        return p_NJK.mean(dim=1).clamp_min(torch.finfo(torch.float32).tiny).log(), agreement_N

    def opinions(self, mean_NC: Tensor) -> Tensor:
        """[N, J, K]: what the members say before their biases."""
        return (mean_NC.unsqueeze(1) * self.inputs_JC) @ self.matrix_CK * self.results_JK


def _signs(width: int) -> Tensor:
    return torch.randint(2, (MEMBERS, width)) * 2.0 - 1.0
