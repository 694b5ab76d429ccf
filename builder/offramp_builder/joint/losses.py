"""What all exits together are to make small.

Each loss is a module, which may learn or remember something of its own (it is saved and resumed with the training).

# N samples, K classes, B branches, E = B + 1 exits, D samples of the data set, C channels
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp.errors import SettingsError
from offramp_builder.branches import losses
from offramp_builder.branches.kind import Answer, logits_of
from offramp_builder.joint.settings import JointSettings
from offramp_builder.training.distilling import distillation
from offramp_builder.training.objective import Batch, taught


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What is the same for all batches."""

    settings: JointSettings
    costs: tuple[float, ...]
    """[E] of leaving at each exit, all branches charged that were asked on the way, as shares of the bare network's."""
    classes: int
    samples: int
    """D."""
    widths: tuple[int, ...]
    """C of the feature at each branch, then of the network's last one; empty where no features are compared."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What one batch gave."""

    answers: Sequence[Answer]
    """Of the branches, in order."""
    final_NK: Tensor
    means: Sequence[Tensor]
    """[N, C] at each branch, then of the network's last feature where features are compared."""

    @property
    def logits(self) -> list[Tensor]:
        """[N, K] of every exit, the end's last."""
        return [*(logits_of(answer) for answer in self.answers), self.final_NK]

    @property
    def own(self) -> list[Tensor]:
        """[N] of every branch, of a kind that says them."""
        return [answer[1] for answer in self.answers]


class JointLoss(nn.Module):
    """A loss that is opened for one training."""

    kind: str | None = None
    """The kind of branch that it teaches; None: any that learns from labels."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.settings = setting.settings

    @abstractmethod
    def forward(self, heard: Heard, batch: Batch) -> Tensor:
        """A scalar."""

    def _labels(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        return taught(logits_NK, batch, self.settings)


class BranchyNetLoss(JointLoss):
    """The weighted sum of all exits' cross-entropies (Teerapittayanon, McDanel, Kung, ICPR 2016).

    The paper reports weight 1 for the first branch and 0.3 for the end as better than equal ones; further branches,
    of which it says nothing, weigh as much as the first.
    """

    _BRANCH, _END = 1.0, 0.3

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._weights = _weights(setting, branch=self._BRANCH, end=self._END)

    def forward(self, heard: Heard, batch: Batch) -> Tensor:
        terms = [
            weight * self._labels(logits_NK, batch)
            for weight, logits_NK in zip(self._weights, heard.logits, strict=True)
        ]
        return torch.stack(terms).sum()


class EENetsLoss(JointLoss):
    """One of EENets' losses (Demir, Akbas, 2409.05336, and its authors' code); `branches.losses` has the definitions.

    v3 and v4 ask for a confidence of the end too. Ours reads its logits, since where the feature before them lies is
    the network's business; nobody reads it afterwards. Tags (v4) are those of the last time that the sample was seen,
    by its place in the data set, in whatever order the samples come; the first time they are those of the moment.
    """

    kind = "eenets"
    UNKNOWN = -1

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.sure = nn.Linear(setting.classes, 1)
        tags = setting.samples if self.settings.version == "v4" else 0
        self.register_buffer("tag_D", torch.full((tags,), self.UNKNOWN))

    def forward(self, heard: Heard, batch: Batch) -> Tensor:
        version = "v0" if batch.epoch < self.settings.answers_first else self.settings.version
        costs, weight, truth_N = self.setting.costs, self.settings.cost_weight, batch.truth_N
        if version == "v0":
            return torch.stack([self._labels(logits_NK, batch) for logits_NK in heard.logits]).sum()
        if version in ("v1", "v2"):
            return losses.eenets(
                heard.logits[:-1],
                heard.own,
                heard.final_NK,
                truth_N,
                costs,
                weight=weight,
                every_road=version == "v2",
            )
        own = [*heard.own, torch.sigmoid(self.sure(heard.final_NK.detach())).float().squeeze(1)]
        if version == "v3":
            return losses.eenets_shares(heard.logits, own, truth_N, costs, weight=weight)
        return losses.eenets_tagged(heard.logits, own, truth_N, self._tags(heard, batch), costs, weight=weight)

    def _tags(self, heard: Heard, batch: Batch) -> Tensor:
        tag_D = self.get_buffer("tag_D")
        with torch.no_grad():
            now_N = losses.eenets_tags(
                heard.logits, batch.truth_N, self.setting.costs, weight=self.settings.cost_weight
            )
            known_N = tag_D[batch.rows_N]
            tag_D[batch.rows_N] = now_N
            return torch.where(known_N == self.UNKNOWN, now_N, known_N)


class ExclusionLoss(JointLoss):
    """Cross-entropy at the end, and each branch's opinions on every class (Wang, Li, Zhang, 2309.13443).

    The deeper a branch, the more it weighs: 1/(L + 1) for the first of L, 1/2 for the last.
    """

    kind = "exclusion"

    def forward(self, heard: Heard, batch: Batch) -> Tensor:
        branches = heard.logits[:-1]
        terms = [self._labels(heard.final_NK, batch)]
        terms += [
            losses.class_exclusion(logits_NK, batch.truth_N) / (len(branches) - index + 1)
            for index, logits_NK in enumerate(branches)
        ]
        return torch.stack(terms).sum()


class DistillLoss(JointLoss):
    """Self-distillation: branches learn from the labels and from the end, which learns from the labels alone.

    After Zhang and others, "Be Your Own Teacher" (ICCV 2019). With `features` they also bring the mean of what they
    read near the mean of the network's last feature, each through a linear layer that is thrown away. All exits weigh
    alike there; `weights` say otherwise, for a network that is too small to serve all its branches for nothing.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._weights = _weights(setting, branch=1.0, end=1.0)
        self.adapted = nn.ModuleList(nn.Linear(width, setting.widths[-1]) for width in setting.widths[:-1])

    def forward(self, heard: Heard, batch: Batch) -> Tensor:
        share, final_NK = self.settings.distill, heard.final_NK.detach()
        terms = [self._weights[-1] * self._labels(heard.final_NK, batch)]
        for weight, logits_NK in zip(self._weights, heard.logits[:-1], strict=False):
            told = distillation(logits_NK, final_NK, self.settings.temperature)
            terms.append(weight * ((1 - share) * self._labels(logits_NK, batch) + share * told))
        for adapt, mean_NC in zip(self.adapted, heard.means, strict=False):
            distance = functional.mse_loss(adapt(mean_NC).float(), heard.means[-1].detach())
            terms.append(self.settings.features * distance)
        return torch.stack(terms).sum()


def _weights(setting: Setting, *, branch: float, end: float) -> tuple[float, ...]:
    """[E] of each exit: as the settings say, or the loss's own."""
    branches = len(setting.costs) - 1
    weights = setting.settings.weights or (*[branch] * branches, end)
    if len(weights) != branches + 1:
        raise SettingsError(
            f"{len(weights)} weights for {branches} branch(es) and the end; give {branches + 1}, in order"
        )
    return weights
