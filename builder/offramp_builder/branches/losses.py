"""What branches are fitted to: functions of logits, confidences, costs and labels.

# N samples, K classes, B branches, E = B + 1 exits
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-12  # probability whose logarithm is still taken
_LEAST_SURE = 1e-6  # the same for a confidence, whose complement has to be less than 1 in float32


def class_exclusion(logits_NK: Tensor, truth_N: Tensor) -> Tensor:
    """Binary cross-entropy of each class against all others; the true one weighs 4 (K - 1) times a false one.

    From "Early-Exit with Class Exclusion" (2309.13443), where the weight is 36 for 10 classes and 396 for 100.
    """
    classes = logits_NK.shape[1]
    wanted_NK = functional.one_hot(truth_N, classes).to(logits_NK.dtype)
    weight = logits_NK.new_full((), 4.0 * (classes - 1))
    return functional.binary_cross_entropy_with_logits(logits_NK, wanted_NK, pos_weight=weight)


def eenets(
    logits_BNK: Sequence[Tensor],
    own_BN: Sequence[Tensor],
    final_NK: Tensor,
    truth_N: Tensor,
    costs_E: Sequence[float],
    *,
    weight: float,
    every_road: bool,
) -> Tensor:
    """EENets' losses v1, and with `every_road` v2: what is answered and spent when samples leave as branches wish.

        Y_B = y_B (the end)    Y_i = h_i y_i + (1 - h_i) Y_{i+1}      expected probabilities from exit i on
        C_B = c_B              C_i = h_i c_i + (1 - h_i) C_{i+1}      expected cost

        v1 = NLL(Y_0) + weight mean(C_0)        v2 = the sum of the same over all exits, the end among them

    From "EENets" (2409.05336) and its authors' code.
    """
    answers_N = _probability(final_NK, truth_N)
    cost_N = torch.full_like(answers_N, costs_E[-1])
    terms = [_term(answers_N, cost_N, weight)]
    for logits_NK, own_N, cost in reversed(list(zip(logits_BNK, own_BN, costs_E, strict=False))):
        answers_N = own_N * _probability(logits_NK, truth_N) + (1 - own_N) * answers_N
        cost_N = own_N * cost + (1 - own_N) * cost_N
        terms.append(_term(answers_N, cost_N, weight))
    return torch.stack(terms).sum() if every_road else terms[-1]


def eenets_shares(
    logits_ENK: Sequence[Tensor], own_EN: Sequence[Tensor], truth_N: Tensor, costs_E: Sequence[float], *, weight: float
) -> Tensor:
    """EENets' loss v3: each exit, the end among them, counts as much as its mean confidence among all.

    v3 = Σ_i s_i (NLL(y_i) + weight c_i)        s_i = mean(h_i) / Σ_j mean(h_j)
    """
    sureness_E = torch.stack([own_N.mean() for own_N in own_EN])
    shares_E = sureness_E / sureness_E.sum().clamp_min(_LEAST)
    answers_E = torch.stack([functional.cross_entropy(logits_NK, truth_N) for logits_NK in logits_ENK])
    return (shares_E * (answers_E + weight * answers_E.new_tensor(costs_E))).sum()


def eenets_tags(logits_ENK: Sequence[Tensor], truth_N: Tensor, costs_E: Sequence[float], *, weight: float) -> Tensor:
    """[N]: the exit that serves each sample best, argmin_i NLL(y_i) + weight c_i: what EENets' loss v4 teaches."""
    answers_NE = torch.stack([_answers(logits_NK, truth_N) for logits_NK in logits_ENK], dim=1)
    return (answers_NE + weight * answers_NE.new_tensor(costs_E)).argmin(dim=1)


def eenets_tagged(
    logits_ENK: Sequence[Tensor],
    own_EN: Sequence[Tensor],
    truth_N: Tensor,
    tag_N: Tensor,
    costs_E: Sequence[float],
    *,
    weight: float,
) -> Tensor:
    """EENets' loss v4: each sample is answered at its tag, and every confidence says whether the tag is here.

    v4 = mean over samples of NLL(y_tag) + weight c_tag, plus Σ_i balanced BCE(h_i, tag = i)

    Balanced: in each batch those that are to leave here count as much as all the others together.
    """
    answers_NE = torch.stack([_answers(logits_NK, truth_N) for logits_NK in logits_ENK], dim=1)
    spent_NE = answers_NE + weight * answers_NE.new_tensor(costs_E)
    terms = [spent_NE.gather(1, tag_N.unsqueeze(1)).mean()]
    terms += [balanced(own_N, tag_N == index) for index, own_N in enumerate(own_EN)]
    return torch.stack(terms).sum()


def balanced(own_N: Tensor, wanted_N: Tensor) -> Tensor:
    """Binary cross-entropy in which those that are wanted count, together, as much as all the others."""
    own_N = own_N.clamp(_LEAST_SURE, 1 - _LEAST_SURE)
    share = wanted_N.float().mean()
    weight_N = torch.where(wanted_N, 0.5 / share.clamp_min(_LEAST), 0.5 / (1 - share).clamp_min(_LEAST))
    return -(weight_N * torch.where(wanted_N, own_N, 1 - own_N).log()).mean()


def _answers(logits_NK: Tensor, truth_N: Tensor) -> Tensor:
    """[N] nats of each answer."""
    return functional.cross_entropy(logits_NK, truth_N, reduction="none")


def _term(answers_N: Tensor, cost_N: Tensor, weight: float) -> Tensor:
    return -answers_N.clamp_min(_LEAST).log().mean() + weight * cost_N.mean()


def _probability(logits_NK: Tensor, truth_N: Tensor) -> Tensor:
    """[N]: of the true class; all that the likelihood of a mixture asks for."""
    return torch.softmax(logits_NK, dim=1).gather(1, truth_N.unsqueeze(1)).squeeze(1)
