"""Which way to build each branch: all variants are tried on a part of the samples, and the best is fitted to all.

    a part of the samples ─► trunk ─► pooled features of every variant ─► short fits ─► the best on held-out groups

So the pass over all samples pools, keeps and fits one variant at each position.

# N samples
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from offramp.data.dataset import DataSet
from offramp_builder.branches.cache import Progress, cached
from offramp_builder.branches.fitting import Lessons, Pupil, Teacher
from offramp_builder.branches.kind import Variant
from offramp_builder.capture import Captured

_SAMPLES = 4_096
"""Variants differ in where they look for the channels: that shows in far fewer."""
_SHARE = 1 / 3
"""Of the passes that a head gets in the end; where all samples are fewer than those of a trial, it gets all of them."""
_HELD_OUT = 0.1
"""Share of the groups that choose."""


def best_variants(
    captured: Captured,
    fresh: Mapping[int, Sequence[Variant]],
    data: DataSet,
    lessons: Lessons,
    *,
    seed: int,
    progress: Progress,
) -> dict[int, Variant]:
    """One variant at each position, untrained as it came; nothing is tried where there is one alone."""
    chosen = {position: variants[0] for position, variants in fresh.items()}
    doubtful = {position: list(variants) for position, variants in fresh.items() if len(variants) > 1}
    if not doubtful:
        return chosen
    rng = np.random.default_rng(seed)
    part = data.take(np.sort(rng.permutation(len(data))[:_SAMPLES]))
    cache = cached(captured, doubtful, part, final=lessons.final, rng=rng, progress=_renamed(progress))
    part = cache.data
    teacher = Teacher(
        lessons=replace(lessons, truth_N=torch.from_numpy(part.truth_N)), final_NK=cache.final_NK, seed=seed
    )
    groups = np.unique(part.group_N)
    held_out_N = np.isin(part.group_N, rng.permutation(groups)[: round(_HELD_OUT * len(groups))])
    learning, judging = (torch.from_numpy(np.flatnonzero(which_N)) for which_N in (~held_out_N, held_out_N))
    judging = judging if len(judging) else learning
    for index, (position, variants) in enumerate(doubtful.items()):
        pupils = [
            Pupil(variant=_to_try(variant, 1.0 if len(part) == len(data) else _SHARE), feature_N=feature_N)
            for variant, feature_N in zip(variants, cache.features[position], strict=True)
        ]
        for pupil in pupils:
            teacher.teach(pupil, learning, index)
        said = [teacher.accuracy(pupil, judging) for pupil in pupils]
        chosen[position] = variants[int(np.argmax(said))]
        progress("trying variants of branches", index + 1, len(doubtful))
    return chosen


def _to_try(variant: Variant, share: float) -> Variant:
    return replace(variant, head=deepcopy(variant.head), epochs=max(1, round(share * variant.epochs)))


def _renamed(progress: Progress) -> Progress:
    return lambda _what, done, total: progress("running the trunk for a trial", done, total)
