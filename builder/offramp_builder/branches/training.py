"""Training branches on a frozen trunk, from one cached pass over the samples.

    samples to train on ─► trunk ─► pooled features, cached ─► heads, one at each position: fitted alone, then together
                                      (too large: afresh)      where their kind asks for it
    calibration samples ─► trunk ─► logits of every branch and of the end ─► temperatures and accuracies

# N samples, K classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from offramp.data.dataset import DataSet
from offramp.data.held_out import to_fit
from offramp.errors import ModelError
from offramp_builder.branches.afresh import fit_afresh
from offramp_builder.branches.cache import Progress, cached, capacity
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.fitting import Lessons, Pupil, Teacher
from offramp_builder.branches.kind import JointKind, Variant, logits_of
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.trial import best_variants
from offramp_builder.bundle import branch_macs
from offramp_builder.capture import Captured
from offramp_builder.features import features, run_to
from offramp_builder.scaling import Scaling, choose_scaling
from offramp_builder.segments import Branch
from offramp_builder.temperature import fit_temperature
from offramp_builder.training.trainer import batches_of

_AS_THEY_ARE = ("exclusion", "own")


def _ignore(_what: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExits:
    """All exits, ready to ship."""

    branches: tuple[Branch, ...]
    final_temperature: float
    final_accuracy: float | None
    """Of the whole network, on the calibration split; None where nobody asked."""
    heard: Mapping[int, NDArray[np.float32]] = field(default_factory=dict, compare=False, repr=False)
    """Logits [N, K] on the calibration split of every branch, by position, and of the end."""


def train_branches(
    captured: Captured,
    positions: Sequence[int],
    kind: str,
    *,
    train: DataSet,
    calibration: DataSet,
    settings: BranchSettings | None = None,
    seed: int = 0,
    progress: Progress = _ignore,
) -> TrainedExits:
    """Fit a branch of `kind` at each position, and the temperatures of all exits.

    `progress` is called with what is going on, how much of it is done and how much there is.

    Raises:
        ModelError: The kind does not fit the feature at a position.
        UnknownNameError: There is no such kind.
    """
    networks: dict[int, nn.Module] = {}
    if positions:
        torch.manual_seed(seed)
        fresh = {position: fitting_variants(captured, position, kind) for position in sorted(positions)}
        chosen = fit_branches(
            captured, fresh, kind, train, settings=settings or BranchSettings(), seed=seed, progress=progress
        )
        networks = {position: shipped(kind, variant) for position, variant in chosen.items()}
    how = (settings or BranchSettings()).scaling
    return calibrated(captured, networks, kind, calibration, progress, scaling=how)


def calibrated(
    captured: Captured,
    networks: dict[int, nn.Module],
    kind: str,
    calibration: DataSet,
    progress: Progress = _ignore,
    *,
    scaling: str = "temperature",
) -> TrainedExits:
    """Branches that have learned, by position, with the temperatures and accuracies of all exits.

    `scaling` is that of `BranchSettings`; it is fitted to the half of the samples that certificates do not rest on.
    """
    said = _listen(captured, networks, calibration, progress)
    scalings = {position: _scaling(kind, scaling, logits_NK, calibration) for position, logits_NK in said.items()}
    scalings[captured.end] = _temperature(said[captured.end], calibration)  # the network answers as it did
    scaled = {position: scalings[position].scaled(logits_NK) for position, logits_NK in said.items()}
    truth_N = calibration.truth_N
    accuracies = {position: float((logits_NK.argmax(1) == truth_N).mean()) for position, logits_NK in scaled.items()}
    return TrainedExits(
        branches=tuple(
            Branch(
                position=position,
                kind=kind,
                network=scalings[position].applied(network),
                temperature=scalings[position].temperature,
                accuracy=accuracies[position],
                scaling=scalings[position].name,
            )
            for position, network in networks.items()
        ),
        final_temperature=scalings[captured.end].temperature,
        final_accuracy=accuracies[captured.end],
        heard=scaled,
    )


def _scaling(kind: str, how: str, logits_NK: NDArray[np.float32], data: DataSet) -> Scaling:
    """Kinds whose logits are read one by one keep theirs, and so do exits that somebody else trained."""
    if how == "temperature" or kind in _AS_THEY_ARE:
        return _temperature(logits_NK, data)
    seen_N = to_fit(data.group_N)
    return choose_scaling(logits_NK[seen_N], data.truth_N[seen_N], data.group_N[seen_N])


def _temperature(logits_NK: NDArray[np.float32], data: DataSet) -> Scaling:
    seen_N = to_fit(data.group_N)
    return Scaling(temperature=fit_temperature(logits_NK[seen_N], data.truth_N[seen_N]))


def fitting_variants(captured: Captured, position: int, kind: str) -> list[Variant]:
    """Fresh variants of `kind` for the feature at `position`.

    Raises:
        ModelError: There is none that fits.
    """
    cut = captured.cuts[position]
    shape = cut.tensors[0].spec.shape
    variants = list(BRANCH_KINDS[kind].variants(shape, captured.classes))
    if not variants:
        raise ModelError(
            f"a {kind} branch does not fit the feature {shape} at {cut.name}; take --branch-kind linear, or another cut"
        )
    return variants


def fit_branches(
    captured: Captured,
    fresh: dict[int, list[Variant]],
    name: str,
    data: DataSet,
    *,
    settings: BranchSettings,
    seed: int,
    progress: Progress = _ignore,
) -> dict[int, Variant]:
    """The best of the `fresh` variants at each position, fitted to what the frozen trunk says of `data`."""
    kind = BRANCH_KINDS[name]
    lessons = Lessons(kind=kind, truth_N=torch.from_numpy(data.truth_N), branches=len(fresh), settings=settings)
    chosen = best_variants(captured, fresh, data, lessons, seed=seed, progress=progress)
    only = {position: [variant] for position, variant in chosen.items()}
    if not isinstance(kind, JointKind) and len(data) > capacity(captured, only, final=lessons.final):
        fit_afresh(captured, chosen, data, lessons, seed=seed, progress=progress)
        return chosen
    rng = np.random.default_rng(seed)
    cache = cached(captured, only, data, final=lessons.final, rng=rng, progress=progress)
    lessons = replace(lessons, truth_N=torch.from_numpy(cache.data.truth_N))
    teacher = Teacher(lessons=lessons, final_NK=cache.final_NK, seed=seed)
    pupils = [Pupil(variant=chosen[position], feature_N=feature_N) for position, (feature_N,) in cache.features.items()]
    everything = torch.arange(len(cache.data))
    for index, pupil in enumerate(pupils):
        progress("fitting branches", index, len(pupils))
        teacher.teach(pupil, everything, index)
    if isinstance(kind, JointKind):
        teacher.teach_together(pupils, exit_costs(captured, chosen))
    progress("fitting branches", len(pupils), len(pupils))
    return chosen


def shipped(kind: str, variant: Variant) -> nn.Module:
    """What a bundle holds of a branch that has learned."""
    return nn.Sequential(variant.pool, BRANCH_KINDS[kind].finish(variant.head)).eval()


def exit_costs(captured: Captured, chosen: dict[int, Variant]) -> list[float]:
    """What leaving costs at each branch and at the end, as a `JointKind` asks."""
    at = run_to(captured, list(chosen), captured.examples[:1])
    costs, branches = [], 0
    for position, variant in chosen.items():
        network = nn.Sequential(variant.pool, variant.head)
        branches += branch_macs(Branch(position=position, kind="", network=network), at[position])
        costs.append((captured.cuts[position].macs + branches) / captured.macs)
    return [*costs, (captured.macs + branches) / captured.macs]


def _listen(
    captured: Captured, networks: dict[int, nn.Module], data: DataSet, progress: Progress
) -> dict[int, NDArray[np.float32]]:
    """[N, K] logits of every branch, by position, and of the end."""
    heard: dict[int, list[NDArray[np.float32]]] = {position: [] for position in (*networks, captured.end)}
    done = 0
    for found in features(captured, list(heard), (torch.from_numpy(batch) for batch in batches_of(data.samples))):
        with torch.no_grad():
            for position, network in networks.items():
                heard[position].append(logits_of(network(found[position][0])).numpy())
        heard[captured.end].append(found[captured.end][0].float().numpy())
        done += len(heard[captured.end][-1])
        progress("calibrating exits", done, len(data))
    return {position: np.concatenate(parts) for position, parts in heard.items()}
