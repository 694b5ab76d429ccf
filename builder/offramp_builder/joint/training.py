"""A trunk and its branches, trained together.

    frozen trunk ─► branches, fitted to it: where they begin, and which of a kind's variants it is
                    … or as they were when a training before ended
    samples ─► trunk ─┬─► branch ─┬─► … ─► end        all answers ─► joint loss ─► everything learns
                      heard       heard                 … and those of bottlenecks that begin with it

# N samples, C channels
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from offramp.data.dataset import DataSet
from offramp.errors import ModelError, SettingsError
from offramp_builder.branches.cache import Progress, capacity
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.kind import Answer, JointKind, Variant
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import exit_costs, fit_branches, fitting_variants, shipped
from offramp_builder.capture import Captured
from offramp_builder.features import run_to
from offramp_builder.joint.catalog import JOINT_LOSSES
from offramp_builder.joint.losses import Heard, JointLoss, Setting
from offramp_builder.joint.narrowing import Narrowing
from offramp_builder.joint.settings import JointSettings
from offramp_builder.pretrained import LearnedBranch
from offramp_builder.training.augment import shrink
from offramp_builder.training.listening import Listener, Place, place_at
from offramp_builder.training.objective import Batch, Objective
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import fitting_optimizer, train
from offramp_builder.training.watch import Watch

_GENTLER = 0.2  # share of an optimizer's own rate that a trunk which was trained already can bear
_TRIED_ON, _TRIES = 5_000, 3  # samples and passes that choose between variants on a trunk which has learned nothing yet
_BEGUN_ON = 10_000  # samples, at most, that branches are fitted to before everything learns
_MOMENTUM = 0.1  # of branches' standardisation while features change under it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Together:
    """Branches that have learned with their network."""

    networks: dict[int, nn.Module]
    """As they ship, by position."""
    learned: dict[str, LearnedBranch]
    """As their training ended, by cut."""


def train_jointly(
    captured: Captured,
    positions: Sequence[int],
    kind: str,
    data: DataSet,
    settings: JointSettings,
    *,
    trained: bool,
    narrowing: Narrowing | None = None,
    told_NK: Tensor | None = None,
    begun: Mapping[str, LearnedBranch] | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Together:
    """Train the network in place, and branches of `kind` with it, which are returned.

    The captured graph holds folded values of the weights that were: capture again before it is used.

    Args:
        captured: The network, trained or not.
        positions: Where branches hang.
        kind: Of the branches.
        data: To train on.
        settings: Without a rate, a trunk that is `trained` learns at a fifth of the optimizer's own.
        trained: Whether the trunk knows something already.
        narrowing: Bottlenecks that learn with them.
        told_NK: What the settings' teachers say of each sample of `data`.
        begun: Branches that learned with this network before, by cut; those of `kind` go on.
        seed: Of the branches' first weights; the order of the samples has `settings.seed`.
        checkpoint: Where an interrupted training waits.
        watch: Told after each step.
        progress: Told while branches are fitted to begin with.

    Raises:
        ModelError: A branch that goes on does not fit, or not while pictures are small.
        InputError: As for `check_joint`, or as for any training.
    """
    check_joint(captured, positions, kind, settings)
    positions = sorted(positions)
    torch.manual_seed(seed)
    every = {position: fitting_variants(captured, position, kind) for position in positions}
    fresh = _taking(captured, every, kind, settings)
    variants = _gone_on(captured, every, kind, begun or {})
    _check_sizes(captured, variants, fresh, kind)
    rest = {position: fresh[position] for position in positions if position not in variants}
    if rest:
        variants |= _fitted(captured, rest, kind, data, trained=trained, seed=seed, progress=progress)
    variants = {position: _following(variants[position]) for position in positions}
    loss = JOINT_LOSSES[settings.loss](
        Setting(
            settings=settings,
            costs=tuple(exit_costs(captured, variants)),
            classes=captured.classes,
            samples=len(data),
            widths=_widths(captured, variants) if settings.features else (),
        )
    )
    places = place_at(captured, [*positions, _last(captured)] if settings.features else positions)
    objective = _Together(captured.road, list(variants.values()), places, loss, narrowing)
    if trained and settings.rate is None:
        name = fitting_optimizer(captured.road) if settings.optimizer == "auto" else settings.optimizer
        settings = replace(settings, optimizer=name, rate=_GENTLER * settings.peak_rate(name))
    train(captured.road, data, settings, objective=objective, told_NK=told_NK, checkpoint=checkpoint, watch=watch)
    learned = {
        captured.cuts[position].name: _learned(kind, every[position], variant) for position, variant in variants.items()
    }
    networks = {position: shipped(kind, variant) for position, variant in variants.items()}
    return Together(networks=networks, learned=learned)


def as_they_learned(
    captured: Captured, positions: Sequence[int], kind: str, learned: Mapping[str, LearnedBranch]
) -> dict[int, nn.Module] | None:
    """Branches of a training that is over, as they ship; None where one of them is missing or of another kind.

    Raises:
        ModelError: One does not fit the feature that it should read.
    """
    every = {position: fitting_variants(captured, position, kind) for position in sorted(positions)}
    found = _gone_on(captured, every, kind, learned)
    return {position: shipped(kind, found[position]) for position in every} if len(found) == len(every) else None


def check_joint(captured: Captured, positions: Sequence[int], kind: str, settings: JointSettings) -> None:
    """Refuse what cannot be trained together, before anything is.

    Raises:
        ModelError: A branch cannot hang at a position, or not while pictures are small.
        SettingsError: The loss does not teach this kind of branch, or there is none.
        UnknownNameError: There is no such kind.
    """
    branch, wanted = BRANCH_KINDS[kind], JOINT_LOSSES[settings.loss].kind
    if wanted is not None and kind != wanted:
        raise SettingsError(
            f"the joint loss {settings.loss} teaches {wanted} branches, not {kind}; take --branch-kind {wanted}"
        )
    if wanted is None and isinstance(branch, JointKind):
        raise SettingsError(
            f"the joint loss {settings.loss} does not teach {kind} branches when to leave; take another kind, such as "
            f"linear, or fit {kind} branches to the trained trunk"
        )
    if not positions:
        raise SettingsError("joint training needs branches to train with the network; ask for some with --branches")
    _taking(captured, {position: fitting_variants(captured, position, kind) for position in positions}, kind, settings)


class _Together(Objective):
    """All exits' answers to what is heard in the trunk, and the loss of them all."""

    def __init__(
        self,
        trunk: nn.Module,
        variants: Sequence[Variant],
        places: Sequence[Place],
        loss: JointLoss,
        narrowing: Narrowing | None,
    ) -> None:
        """`places` are the branches', and perhaps that of the network's last feature."""
        super().__init__()
        self.pools = nn.ModuleList(variant.pool for variant in variants)
        self.heads = nn.ModuleList(variant.head for variant in variants)
        self.joint = loss
        self.narrowing = narrowing
        self._places = list(places)
        self._listener = Listener(trunk, [*places, *(narrowing.places if narrowing else ())])

    def loss(self, logits_NK: Tensor, batch: Batch) -> Tensor:
        features = [self._listener.heard[place] for place in self._places]
        pooled = [pool(feature) for pool, feature in zip(self.pools, features, strict=False)]
        answers = [_full(head(feature)) for head, feature in zip(self.heads, pooled, strict=True)]
        means = [_mean(feature) for feature in (*pooled, *features[len(pooled) :])]
        found: Tensor = self.joint(Heard(answers=answers, final_NK=logits_NK, means=means), batch)
        if self.narrowing is not None:
            narrowed = [self._listener.heard[place] for place in self.narrowing.places]
            found = found + self.narrowing.loss(narrowed, logits_NK, batch)
        return found

    def close(self) -> None:
        self._listener.close()


def _full(answer: Answer) -> Answer:
    """In full precision."""
    return (answer[0].float(), answer[1].float()) if isinstance(answer, tuple) else answer.float()


def _last(captured: Captured) -> int:
    """Where the network's last feature is."""
    return max(cut.position for cut in captured.cuts[1:-1] if cut.split)


def _mean(feature: Tensor) -> Tensor:
    """[N, C] of a feature [N, C, …]."""
    return feature.float().flatten(2).mean(2) if feature.ndim > 2 else feature.float()


def _widths(captured: Captured, variants: dict[int, Variant]) -> tuple[int, ...]:
    last = _last(captured)
    at = run_to(captured, [*variants, last], captured.examples[:1])
    with torch.no_grad():
        pooled = [variant.pool(at[position][0]) for position, variant in variants.items()]
    return tuple(_mean(feature).shape[1] for feature in (*pooled, at[last][0]))


def _gone_on(
    captured: Captured, every: Mapping[int, Sequence[Variant]], kind: str, begun: Mapping[str, LearnedBranch]
) -> dict[int, Variant]:
    """Branches that go on from where they were."""
    found = {}
    for position, variants in every.items():
        name = captured.cuts[position].name
        branch = begun.get(name)
        if branch is None or branch.kind != kind:
            continue
        try:
            found[position] = variants[branch.variant]
            found[position].head.load_state_dict(branch.state)
        except (IndexError, RuntimeError) as error:
            raise ModelError(
                f"the {kind} branch that was saved for {name} does not fit there ({error}); save the network's weights "
                f"alone with torch.save(model.state_dict(), file), and branches begin anew"
            ) from error
    return found


def _check_sizes(
    captured: Captured, variants: Mapping[int, Variant], taking: Mapping[int, Sequence[Variant]], kind: str
) -> None:
    """Refuse branches that go on, and are none of those that take pictures of all sizes."""
    for position, variant in variants.items():
        if all(variant is not one for one in taking[position]):
            raise ModelError(
                f"the {kind} branch that was saved for {captured.cuts[position].name} takes a feature of one size "
                f"alone, and pictures shrunk first yield others; leave small_first out (--small-first none)"
            )


def _fitted(
    captured: Captured,
    fresh: dict[int, list[Variant]],
    kind: str,
    data: DataSet,
    *,
    trained: bool,
    seed: int,
    progress: Progress,
) -> dict[int, Variant]:
    """Branches that begin fitted to the trunk as it is, since strange heads would disturb it."""
    if not trained:
        fresh = {position: [replace(one, epochs=_TRIES) for one in variants] for position, variants in fresh.items()}
    # A beginning is all that is asked for: a part will do, of which the features can be kept.
    enough = min(capacity(captured, fresh, final=True), _BEGUN_ON) if trained else _TRIED_ON
    data = data.take(np.sort(np.random.default_rng(seed).permutation(len(data))[:enough]))
    if trained or any(len(variants) > 1 for variants in fresh.values()):
        return fit_branches(captured, fresh, kind, data, settings=BranchSettings(), seed=seed, progress=progress)
    return {position: variants[0] for position, variants in fresh.items()}


def _following(variant: Variant) -> Variant:
    """With a standardisation that follows features which change under it."""
    for module in variant.head.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.momentum is None:
            module.momentum = _MOMENTUM  # the mean of all that was ever seen would be that of older features
    return variant


def _learned(kind: str, every: Sequence[Variant], variant: Variant) -> LearnedBranch:
    number = next(number for number, one in enumerate(every) if one.head is variant.head)
    return LearnedBranch(kind=kind, variant=number, state=copy.deepcopy(variant.head.state_dict()))


def _taking(
    captured: Captured, every: Mapping[int, list[Variant]], kind: str, settings: TrainSettings
) -> dict[int, list[Variant]]:
    """Those variants that take the feature at their position at every size at which pictures will be shown."""
    places = place_at(captured, list(every))
    fresh = dict(every)
    for side in {side for _, side in settings.small_first}:
        small = torch.from_numpy(shrink(captured.examples.numpy(), side))
        with Listener(captured.road, places) as listener, torch.no_grad():
            captured.road(small)
            for position, place in zip(every, places, strict=True):
                fresh[position] = [one for one in fresh[position] if _takes(one, listener.heard[place])]
                if not fresh[position]:
                    raise ModelError(
                        f"the {kind} branch at {captured.cuts[position].name} cannot take pictures shrunk to {side} "
                        f"pixels; leave small_first out, or begin with larger ones"
                    )
    return fresh


def _takes(variant: Variant, feature: Tensor) -> bool:
    try:
        variant.head.eval()(variant.pool(feature))
    except RuntimeError:
        return False
    return True
