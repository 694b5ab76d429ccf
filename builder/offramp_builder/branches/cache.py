"""One pass over the samples: what a frozen trunk says at the exits, kept for all the passes that heads are fitted in.

    samples ─► trunk ─► pooled features of every variant at every position, and the final logits where they are needed

# N samples, K classes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offramp.data.dataset import DataSet
from offramp_builder.branches.kind import Variant
from offramp_builder.capture import Captured
from offramp_builder.features import CutFeatures, features, run_to
from offramp_builder.training.trainer import batches_of

_MOST = 1 << 30  # 1 GiB of features

Progress = Callable[[str, int, int], None]
"""What is going on, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cache:
    """Of the samples that branches are fitted to."""

    data: DataSet
    """Those that fit."""
    features: dict[int, list[Tensor]]
    """[N, …] of each variant, by position."""
    final_NK: Tensor | None


def cached(
    captured: Captured,
    fresh: dict[int, list[Variant]],
    data: DataSet,
    *,
    final: bool,
    rng: np.random.Generator,
    progress: Progress,
) -> Cache:
    """Run the trunk once over `data`, or over a random part of it where all would not fit into memory.

    Without `final` nothing after the last position runs.
    """
    positions = [*fresh, captured.end] if final else list(fresh)
    one = _of_one(captured, fresh, final)
    most = _room(one)
    if len(data) > most:
        data = data.take(np.sort(rng.permutation(len(data))[:most]))
    # Filled in as the trunk yields them: never twice in memory.
    places = [tensor.new_empty((len(data), *tensor.shape[1:])) for tensor in one]
    done = 0
    for found in features(captured, positions, (torch.from_numpy(batch) for batch in batches_of(data.samples))):
        kept = _kept(captured, fresh, found, final)
        for place, tensor in zip(places, kept, strict=True):
            place[done : done + len(tensor)] = tensor
        done += len(kept[0])
        progress("running the trunk", done, len(data))
    filled = iter(places)
    by_position = {position: [next(filled) for _ in variants] for position, variants in fresh.items()}
    return Cache(data=data, features=by_position, final_NK=next(filled, None))


def capacity(captured: Captured, fresh: dict[int, list[Variant]], *, final: bool) -> int:
    """Of how many samples all features fit into memory."""
    return _room(_of_one(captured, fresh, final))


def _room(of_one: Sequence[Tensor]) -> int:
    return max(1, _MOST // sum(tensor.nbytes for tensor in of_one))


def _of_one(captured: Captured, fresh: dict[int, list[Variant]], final: bool) -> Sequence[Tensor]:
    """What is kept of one sample, as a batch of 1."""
    positions = [*fresh, captured.end] if final else list(fresh)
    return _kept(captured, fresh, run_to(captured, positions, captured.examples[:1]), final)


def _kept(captured: Captured, fresh: dict[int, list[Variant]], found: CutFeatures, final: bool) -> Sequence[Tensor]:
    kept = [
        variant.pool(found[position][0]).to(variant.cached)
        for position, variants in fresh.items()
        for variant in variants
    ]
    return [*kept, found[captured.end][0].float()] if final else kept
