"""What branches might have said about streams of samples: scenes, repeated answers, near ties, here and there a nan.

# N samples, K classes, S fused scores
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.exits.catalog import open_policy
from offramp.exits.policy import BranchOutputs
from offramp.exits.walk import Walked, walk
from offramp.plan import ExitRule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Of N samples, in the order in which they came."""

    branches: dict[int, BranchOutputs]
    final_label_N: NDArray[np.int64]
    truth_N: NDArray[np.int64]
    stream_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth_N)

    def hear(self, cut: int, rows: NDArray[np.intp]) -> BranchOutputs:
        said = self.branches[cut]
        return BranchOutputs(cut, said.logits_NK[rows], said.scores_NS[rows])

    def walk(self, rule: ExitRule) -> Walked:
        return walk(open_policy(rule), rule.asked, self.hear, self.final_label_N, self.stream_N)

    def taken(self, rows: NDArray[np.intp]) -> "Heard":
        return replace(
            self,
            branches={cut: self.hear(cut, rows) for cut in self.branches},
            final_label_N=self.final_label_N[rows],
            truth_N=self.truth_N[rows],
            stream_N=self.stream_N[rows],
        )


def heard(
    seed: int,
    count: int = 24,
    *,
    cuts: Sequence[int] = (1, 2, 4),
    classes: int = 4,
    streams: int = 3,
    nans: bool = True,
) -> Heard:
    """Streams of scenes; later branches say more often what is true, and more loudly."""
    drawn = np.random.default_rng(seed)
    stream_N = drawn.integers(0, streams, count)
    truth_N = np.empty(count, np.int64)
    for stream in range(streams):
        rows = np.flatnonzero(stream_N == stream)
        scene_N = np.cumsum(drawn.random(len(rows)) < 0.25)
        truth_N[rows] = drawn.integers(0, classes, scene_N.max(initial=0) + 1)[scene_N]
    branches = {}
    for depth, cut in enumerate(cuts, start=1):
        noise_NK = np.round(drawn.normal(0, 2.0, (count, classes)), 1)  # round numbers: some are equal
        noise_NK[drawn.random(count) < 0.4] = 0  # samples of a scene that look the same
        logits_NK = (noise_NK + 1.5 * depth * (np.arange(classes) == truth_N[:, None])).astype(np.float32)
        logits_NK[drawn.random(count) < 0.05] = np.nan
        branches[cut] = said(logits_NK, cut)
    final_N = np.where(drawn.random(count) < 0.1, drawn.integers(0, classes, count), truth_N)
    return Heard(branches=branches, final_label_N=final_N, truth_N=truth_N, stream_N=stream_N)


def said(logits_NK: NDArray[np.float32], cut: int = 1) -> BranchOutputs:
    """With the scores that a branch of temperature 1 fuses; its own confidence is the largest probability."""
    classes = logits_NK.shape[1]
    raised_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True, initial=-np.inf))
    p_NK = raised_NK / raised_NK.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread_N = -np.where(p_NK == 0, 0, p_NK * np.log(p_NK)).sum(axis=1) / np.log(classes)
    largest_Nk = np.sort(p_NK, axis=1)[:, -2:]
    fused = {
        "confidence": largest_Nk[:, 1],
        "entropy": spread_N,
        "margin": largest_Nk[:, 1] - largest_Nk[:, 0],
        "own": largest_Nk[:, 1],
    }
    return BranchOutputs(cut, logits_NK, np.stack([fused[name] for name in SCORES], axis=1).astype(np.float32))
