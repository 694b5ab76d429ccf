"""Fitting heads to what the trunk says afresh in every pass: where the maps of all samples would not fit into memory.

    samples ─► moved, mirrored ─► trunk ─► pooled features ─► heads        every branch learns from the same pass

Each pass costs the trunk's time once more. What it buys: heads meet every sample, and none of them twice alike.

# N samples, R rows
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from offramp.data.dataset import DataSet
from offramp_builder.branches.cache import Progress
from offramp_builder.branches.fitting import BATCH, Lessons, optimizer_of, with_distillation
from offramp_builder.branches.kind import Variant
from offramp_builder.capture import Captured
from offramp_builder.features import CutFeatures, features
from offramp_builder.training.augment import allowed, augment
from offramp_builder.training.settings import TrainSettings


def fit_afresh(
    captured: Captured,
    chosen: Mapping[int, Variant],
    data: DataSet,
    lessons: Lessons,
    *,
    seed: int,
    progress: Progress,
) -> None:
    """Fit the head of one variant at each position, all in the same passes over `data`; they are in evaluation mode
    afterwards.
    """
    heads = nn.ModuleList(variant.head for variant in chosen.values())
    passes = max(variant.epochs for variant in chosen.values())
    steps = passes * max(1, len(data) // BATCH)
    optimizer, schedule = optimizer_of(heads, steps)
    torch.manual_seed(seed)
    heads.train()
    for step, (rows_R, found) in enumerate(_heard(captured, list(chosen), data, passes, lessons.final, seed)):
        lesson = lessons.of(rows_R, found[captured.end][0].float() if lessons.final else None, step)
        losses = []
        for index, (position, variant) in enumerate(chosen.items()):
            answer = variant.head(variant.pool(found[position][0]))
            losses.append(with_distillation(lessons.kind.loss(answer, lesson, index), [answer], lesson))
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress("fitting branches", step + 1, steps)
    heads.eval()


def _heard(
    captured: Captured, positions: list[int], data: DataSet, passes: int, final: bool, seed: int
) -> Iterator[tuple[Tensor, CutFeatures]]:
    """Rows, and what the trunk says of them, in batches of all passes."""
    rng = np.random.default_rng(seed)
    moving = allowed(TrainSettings(epochs=passes), data)
    batches = []
    for _ in range(passes):
        order_N = rng.permutation(len(data))
        batches += [np.sort(order_N[start : start + BATCH]) for start in range(0, max(1, len(data) - BATCH + 1), BATCH)]
    samples = (torch.from_numpy(augment(data.samples[rows_R], moving, rng)) for rows_R in batches)
    asked = [*positions, captured.end] if final else positions
    yield from zip(map(torch.from_numpy, batches), features(captured, asked, samples), strict=True)
