"""Training branches on a frozen trunk, from one cached pass over the samples.

    samples to train on ─► trunk ─► pooled features, cached ─► heads: fitted, the best variant on held-out groups kept
    calibration samples ─► trunk ─► logits of every branch and of the end ─► temperatures and accuracies

# N samples, K classes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from offramp.data.dataset import DataSet
from offramp.errors import ModelError
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.kind import Variant
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.segments import Branch
from offramp_builder.temperature import fit_temperature
from offramp_builder.training.trainer import batches_of, has_bfloat16

_BATCH, _RATE = 256, 3e-3
_HELD_OUT = 0.1  # share of the groups to train on that choose between variants
_CACHE = 1 << 30  # 1 GiB of features; beyond it the branches train on a random part of the samples


Progress = Callable[[str, int, int], None]


def _ignore(_what: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExits:
    """All exits, ready to ship."""

    branches: tuple[Branch, ...]
    final_temperature: float
    final_accuracy: float | None
    """Of the whole network, on the calibration split; None where nobody asked."""


def train_branches(
    captured: Captured,
    positions: Sequence[int],
    kind: str,
    *,
    train: DataSet,
    calibration: DataSet,
    seed: int = 0,
    progress: Progress = _ignore,
) -> TrainedExits:
    """Fit a branch of `kind` at each position, and the temperatures of all exits.

    `progress` is called with what is going on, how much of it is done and how much there is.

    Raises:
        ModelError: The kind does not fit the feature at a position.
        UnknownNameError: There is no such kind.
    """
    torch.manual_seed(seed)
    fresh = {position: fitting_variants(captured, position, kind) for position in positions}
    networks = _fit(captured, fresh, kind, train, seed, progress) if positions else {}
    said = _listen(captured, networks, calibration, progress)
    truth_N = calibration.truth_N
    temperatures = {position: fit_temperature(logits_NK, truth_N) for position, logits_NK in said.items()}
    accuracies = {position: float((logits_NK.argmax(1) == truth_N).mean()) for position, logits_NK in said.items()}
    return TrainedExits(
        branches=tuple(
            Branch(
                position=position,
                kind=kind,
                network=network,
                temperature=temperatures[position],
                accuracy=accuracies[position],
            )
            for position, network in networks.items()
        ),
        final_temperature=temperatures[captured.end],
        final_accuracy=accuracies[captured.end],
    )


def fitting_variants(captured: Captured, position: int, kind: str) -> list[Variant]:
    """Fresh variants of `kind` for the feature at `position`.

    Raises:
        ModelError: There is none that fits.
    """
    cut = captured.cuts[position]
    if len(cut.tensors) != 1:
        raise ModelError(f"{len(cut.tensors)} tensors are alive at {cut.name}; a branch hangs on a cut with one")
    shape = cut.tensors[0].spec.shape
    variants = list(BRANCH_KINDS[kind].variants(shape, captured.classes))
    if not variants:
        raise ModelError(
            f"a {kind} branch does not fit the feature {shape} at {cut.name}; take --branch-kind linear, or another cut"
        )
    return variants


def _fit(
    captured: Captured,
    fresh: dict[int, list[Variant]],
    kind: str,
    data: DataSet,
    seed: int,
    progress: Progress,
) -> dict[int, nn.Module]:
    rng = np.random.default_rng(seed)
    most = _affordable(captured, fresh)
    if len(data) > most:
        data = data.take(np.sort(rng.permutation(len(data))[:most]))
    cache = _cache(captured, fresh, data, progress)
    groups = np.unique(data.group_N)
    held_out_N = np.isin(data.group_N, rng.permutation(groups)[: round(_HELD_OUT * len(groups))])
    truth_N = torch.from_numpy(data.truth_N)
    judging = torch.from_numpy(np.flatnonzero(held_out_N if held_out_N.any() else ~held_out_N))
    finished: dict[int, nn.Module] = {}
    for done, (position, variants) in enumerate(fresh.items()):
        progress("fitting branches", done, len(fresh))
        # One variant needs no judge: it learns from everything.
        learning = torch.from_numpy(np.flatnonzero(~held_out_N)) if len(variants) > 1 else torch.arange(len(data))
        scores = []
        for variant, feature in zip(variants, cache[position], strict=True):
            _fit_head(variant, feature, learning, truth_N, seed)
            scores.append(_accuracy(variant, feature[judging], truth_N[judging]) if len(variants) > 1 else 1.0)
        best = variants[int(np.argmax(scores))]
        finished[position] = nn.Sequential(best.pool, BRANCH_KINDS[kind].finish(best.head)).eval()
    progress("fitting branches", len(fresh), len(fresh))
    return finished


def _affordable(captured: Captured, fresh: dict[int, list[Variant]]) -> int:
    """How many samples' pooled features fit into the cache."""
    one = next(features(captured, list(fresh), [captured.examples[:1]]))
    nbytes: int = sum(
        variant.pool(one[position][0]).to(variant.cached).nbytes
        for position, variants in fresh.items()
        for variant in variants
    )
    return max(1, _CACHE // nbytes)


def _cache(
    captured: Captured, fresh: dict[int, list[Variant]], data: DataSet, progress: Progress
) -> dict[int, list[Tensor]]:
    """Pooled features of all samples, filled in as the trunk yields them: never twice in memory."""
    cache: dict[int, list[Tensor]] = {}
    done = 0
    batches = (torch.from_numpy(batch) for batch in batches_of(data.samples))
    for found in features(captured, list(fresh), batches):
        pooled = {
            position: [variant.pool(found[position][0]).to(variant.cached) for variant in variants]
            for position, variants in fresh.items()
        }
        if not cache:
            cache = {
                position: [tensor.new_empty((len(data), *tensor.shape[1:])) for tensor in tensors]
                for position, tensors in pooled.items()
            }
        for position, tensors in pooled.items():
            for place, tensor in zip(cache[position], tensors, strict=True):
                place[done : done + len(tensor)] = tensor
        done += len(tensors[0])
        progress("running the trunk", done, len(data))
    return cache


def _fit_head(variant: Variant, feature: Tensor, rows_R: Tensor, truth_N: Tensor, seed: int) -> None:
    """Fit a variant's head to the samples `rows_R` of its cached features."""
    head = variant.head
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=1e-4)
    steps = max(1, len(rows_R) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=variant.epochs * steps)
    head.train()
    for _ in range(variant.epochs):
        order_R = rows_R[torch.randperm(len(rows_R), generator=generator)]
        for step in range(steps):
            rows = order_R[step * _BATCH : (step + 1) * _BATCH]
            with torch.autocast("cpu", torch.bfloat16, enabled=_in_half(variant)):
                loss = functional.cross_entropy(head(_given(variant, feature[rows])).float(), truth_N[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    head.eval()


def _accuracy(variant: Variant, feature: Tensor, truth_N: Tensor) -> float:
    with torch.no_grad():
        return float((variant.head(feature.float()).argmax(1) == truth_N).float().mean())


def _in_half(variant: Variant) -> bool:
    return variant.cached is torch.bfloat16 and has_bfloat16()


def _given(variant: Variant, feature: Tensor) -> Tensor:
    return feature if _in_half(variant) else feature.float()


def _listen(
    captured: Captured, networks: dict[int, nn.Module], data: DataSet, progress: Progress
) -> dict[int, NDArray[np.float32]]:
    """[N, K] logits of every branch, by position, and of the end."""
    heard: dict[int, list[NDArray[np.float32]]] = {position: [] for position in (*networks, captured.end)}
    done = 0
    for found in features(captured, list(heard), (torch.from_numpy(batch) for batch in batches_of(data.samples))):
        with torch.no_grad():
            for position, network in networks.items():
                heard[position].append(network(*found[position]).numpy())
        heard[captured.end].append(found[captured.end][0].float().numpy())
        done += len(heard[captured.end][-1])
        progress("calibrating exits", done, len(data))
    return {position: np.concatenate(parts) for position, parts in heard.items()}
