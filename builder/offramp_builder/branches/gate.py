"""`gate`, `gate-conv`: a branch of another kind, and a gate beside it that learns whom to let go.

    feature ─► pool ─► head ─► logits ─┬─────────────────────────────────────────► logits [N, K]
                                       └─► four numbers ─► linear ─► sigmoid ─► own confidence g [N]

From JEI-DNN (2310.09163) and its authors' code: a gate of five parameters reads the largest probability, the entropy,
the margin and a second entropy. Classifiers and gates learn by turns, after each classifier was fitted alone:

    gates         g_l should be 1 from the exit on that serves the sample best, argmin_l CE_l + w cost_l; binary
                  cross-entropy, both answers counting alike
    classifiers   Σ_l P(leaves at l) CE_l, each exit's weights normalised over the batch,
                  P(leaves at l) = max(0, min(g_l, 1 - Σ_{j<l} P(leaves at j)))

so that each classifier learns those who will ask it, and each gate learns what the classifiers are good at.

Ours: the second entropy, of which there is only the name, is that of the squared probabilities. The end takes who is
left, and learns nothing. Who leaves is decided by g ≥ threshold (0.5 stands for the paper's rule); the paper divides g
by the probability of still being there, which a branch that is not told of those before it cannot.

# N samples, K classes, B branches, F = 4 facts
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp_builder.branches.kind import Answer, BranchKind, Lesson, Variant, logits_of
from offramp_builder.branches.losses import balanced

_TURN = 20  # steps that classifiers learn, then as many that gates do
_LEAST = 1e-6  # probability of leaving that a batch is still divided by
_FACTS = 4
_STRIDE = 20.0  # how much farther than a head's weights a gate's move in a step: few samples make few steps


class GatedBranch:
    """Its own confidence is g."""

    def __init__(self, ungated: BranchKind) -> None:
        """`ungated` is the kind of the classifiers."""
        self._ungated = ungated

    def variants(self, shape: tuple[int, ...], classes: int, /) -> list[Variant]:
        return [
            Variant(pool=one.pool, head=_Gated(one.head, classes), epochs=one.epochs, cached=one.cached)
            for one in self._ungated.variants(shape, classes)
        ]

    def loss(self, answer: Answer, lesson: Lesson, index: int, /) -> Tensor:
        return self._ungated.loss(logits_of(answer), lesson, index)

    def joint_loss(self, answers: Sequence[Answer], lesson: Lesson, costs: Sequence[float], /) -> Tensor:
        assert lesson.final_NK is not None
        nats_BN = [functional.cross_entropy(logits_of(answer), lesson.truth_N, reduction="none") for answer in answers]
        gates_BN = [answer[1] for answer in answers]
        if lesson.step // _TURN % 2 == 0:
            return _of_classifiers(nats_BN, [gate_N.detach() for gate_N in gates_BN])
        end_N = functional.cross_entropy(lesson.final_NK, lesson.truth_N, reduction="none")
        spent_NE = torch.stack([*nats_BN, end_N], dim=1).detach()
        best_N = (spent_NE + lesson.settings.cost_weight * spent_NE.new_tensor(costs)).argmin(dim=1)
        return torch.stack([balanced(gate_N, best_N <= index) for index, gate_N in enumerate(gates_BN)]).sum()

    def finish(self, head: nn.Module, /) -> nn.Module:
        assert isinstance(head, _Gated)
        gate = nn.Linear(_FACTS, 1)
        with torch.no_grad():
            gate.weight.copy_(_STRIDE * head.gate.weight)
            gate.bias.copy_(_STRIDE * head.gate.bias)
        return _Gated(self._ungated.finish(head.head), head.classes, gate=gate).eval()


def leaving(gates_BN: Sequence[Tensor]) -> list[Tensor]:
    """[N] for each branch: the probability of leaving there."""
    left_N = torch.ones_like(gates_BN[0])
    found = []
    for gate_N in gates_BN:
        found.append(torch.minimum(gate_N, left_N).clamp_min(0.0))
        left_N = left_N - found[-1]
    return found


def _of_classifiers(nats_BN: Sequence[Tensor], gates_BN: Sequence[Tensor]) -> Tensor:
    terms = [
        (leaves_N * nats_N).sum() / leaves_N.sum().clamp_min(_LEAST)
        for leaves_N, nats_N in zip(leaving(gates_BN), nats_BN, strict=True)
    ]
    return torch.stack(terms).sum()


class _Gated(nn.Module):
    """Its gate begins half open, for everybody; one that is given is finished."""

    def __init__(self, head: nn.Module, classes: int, *, gate: nn.Linear | None = None) -> None:
        super().__init__()
        self.head = head
        self.classes = classes
        self.finished = gate is not None
        self.gate = gate or nn.Linear(_FACTS, 1)
        if not self.finished:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        logits_NK = logits_of(self.head(pooled))
        open_N1 = self.gate(_facts(logits_NK.detach().float(), self.classes))
        return logits_NK, torch.sigmoid(open_N1 if self.finished else _STRIDE * open_N1).squeeze(1)


def _facts(logits_NK: Tensor, classes: int) -> Tensor:
    """[N, F], each in [0, 1]; a linear layer has the margin from the two largest probabilities."""
    log_p_NK = torch.log_softmax(logits_NK, dim=1)
    log_q_NK = torch.log_softmax(2.0 * logits_NK, dim=1)  # of the squared probabilities
    best_N2 = log_p_NK.exp().topk(2, dim=1).values
    return torch.cat([best_N2, _entropy(log_p_NK, classes), _entropy(log_q_NK, classes)], dim=1)


def _entropy(log_p_NK: Tensor, classes: int) -> Tensor:
    """[N, 1], as a share of the largest that there can be."""
    return (log_p_NK.exp() * log_p_NK).sum(dim=1, keepdim=True) * (-1 / math.log(classes))
