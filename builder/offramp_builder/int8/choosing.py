"""How a network is quantised best: tried, and judged by how often it still says what it said.

    calibration samples ─┬─► ranges, by each method ─► int8 ─┐
                         └─► others, to judge by ────────────┴─► the best method ─► what stays in float32

# N samples
"""

import contextlib
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import TensorsData

from offramp.records import Array
from offramp_builder.int8.pixels import reading_pixels, with_pixel_range, without_centring
from offramp_builder.int8.quantising import quantised, weighted
from offramp_builder.int8.ranges import METHODS, ranges_of, shared_session
from offramp_builder.int8.rounding import rounded_together, together
from offramp_builder.int8.whole import Whole, ancestors

Progress = Callable[[str, int, int], None]
Labels = Mapping[int, NDArray[np.int64]]
"""By cut of the branch or the end, [N]."""

ENOUGH = 0.99
"""Agreement at the end from which nothing more is tried: what stays in float32 costs time."""
WORTH = 0.002
"""Agreement that an operation in float32 has to add: two samples in a thousand, and two in any case."""
_BATCH = 32
_MOST = 8
"""Operations that are tried alone, where the first and the last are not enough."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The network in int8."""

    whole: Whole
    how: Mapping[str, str] = field(default_factory=dict)
    """For people."""


def choose(whole: Whole, ranging: Array, judging: Array, tell: Progress = lambda *_: None) -> Chosen:
    """The network in int8, ranges taken from some samples [M, *shape], and choices made by others [N, *shape]."""
    trial = _Trial(whole, ranging, judging, tell)
    method = max(METHODS, key=lambda method: trial.score(method, ()))
    kept = frozenset(trial.branches_in_float(method))
    for name in trial.suspects(kept):
        if trial.final(method, kept) >= ENOUGH:
            break
        if trial.final(method, kept | {name}) >= trial.final(method, kept) + trial.worth:
            kept |= {name}
    float_nodes = ", ".join(sorted(kept, key=trial.names.index)) or "none"
    how = {"ranges": f"{method}, of {len(ranging):,} samples", "kept in float32": float_nodes}
    return Chosen(whole=trial.quantised(method, kept), how=how)


def labels_of(whole: Whole, samples: Array) -> Labels:
    """What every branch and the end call samples [N, *shape]."""
    session = shared_session(whole.model.SerializeToString())
    names = list(whole.logits.values())
    said = [
        [logits_NK.argmax(axis=1) for logits_NK in session.run(names, {whole.features[0][0]: batch})]
        for batch in _batches(samples)
    ]
    return {cut: np.concatenate(parts) for cut, parts in zip(whole.logits, zip(*said, strict=True), strict=True)}


def agreement(one: Labels, other: Labels) -> dict[int, float]:
    """By cut, the share of samples that two networks label alike."""
    return {cut: float((one[cut] == other[cut]).mean()) for cut in one}


class _Trial:
    """Remembers what was tried."""

    def __init__(self, whole: Whole, ranging: Array, judging: Array, tell: Progress) -> None:
        self._whole = reading_pixels(whole)
        self._ranging, self._judging, self._tell = ranging, judging, tell
        self._expected = labels_of(whole, judging)
        self.worth = max(WORTH, 2 / len(judging))
        self.names = weighted(self._whole)
        self._seen = together(self._whole, self.names, ranging)
        self._ranges: dict[str, TensorsData] = {}
        self._found: dict[tuple[str, frozenset[str]], dict[int, float]] = {}

    def quantised(self, method: str, kept: Collection[str]) -> Whole:
        if method not in self._ranges:
            with contextlib.redirect_stdout(io.StringIO()):  # calibrators print
                self._ranges[method] = with_pixel_range(self._whole, ranges_of(self._whole, self._ranging, method))
        found = quantised(self._whole, self._ranges[method], kept)
        without_centring(found.model)
        rounded_together(found.model, self._whole, self._seen)
        return found

    def agreement(self, method: str, kept: Collection[str]) -> dict[int, float]:
        key = method, frozenset(kept)
        if key not in self._found:
            self._tell("trying int8", len(self._found), len(METHODS) + _MOST)
            self._found[key] = agreement(self._expected, labels_of(self.quantised(method, kept), self._judging))
        return self._found[key]

    def final(self, method: str, kept: Collection[str]) -> float:
        return self.agreement(method, kept)[self._end]

    def score(self, method: str, kept: Collection[str]) -> float:
        """The end counts as much as all branches together."""
        found = self.agreement(method, kept)
        branches = [share for cut, share in found.items() if cut != self._end]
        return found[self._end] + sum(branches) / max(1, len(branches))

    def branches_in_float(self, method: str) -> list[str]:
        """The operations of those branches that agree better if they alone are left as they are."""
        own = {cut: self._own(cut) for cut in self._whole.logits if cut != self._end}
        before = self.agreement(method, ())
        after = self.agreement(method, [name for names in own.values() for name in names])
        return [name for cut, names in own.items() if after[cut] >= before[cut] + self.worth for name in names]

    def suspects(self, kept: Collection[str]) -> Sequence[str]:
        """The first and the last operation, which lose most as a rule; then those with the fewest weights."""
        trunk = [node.name for node in ancestors(self._whole.model, [self._whole.logits[self._end]])]
        there = [name for name in self.names if name in trunk and name not in kept]
        rest = sorted(there[1:-1], key=lambda name: self._seen[name].size if name in self._seen else np.inf)
        return [*there[:1], *there[-1:], *rest][:_MOST]

    @property
    def _end(self) -> int:
        return max(self._whole.logits)

    def _own(self, cut: int) -> list[str]:
        """The operations of a branch."""
        features = self._whole.features[cut]
        nodes = ancestors(self._whole.model, [self._whole.logits[cut]], features)
        return [node.name for node in nodes if node.name in self.names]


def _batches(samples: Array) -> Sequence[Array]:
    return [np.ascontiguousarray(samples[first : first + _BATCH]) for first in range(0, len(samples), _BATCH)]
