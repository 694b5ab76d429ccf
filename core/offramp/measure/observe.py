"""What the deployed segments and codecs say about samples: run once, so that any plan can be judged afterwards.

    samples ─► segments with their branches ─► what each branch would answer, and how sure it is
        └────► each (split, codec) ─► payload bytes ─► decode ─► tail ─► what the edge would answer

# M samples, S fused scores, B branches
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.records import Array, Feature
from offramp.runtime.runtime import Runtime
from offramp.tail import Tail

BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAnswers:
    """What the edge would answer at one split through one codec."""

    labels_M: NDArray[np.int64]
    payload_bytes_M: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that exits, splits and codecs can turn into an answer, for M samples."""

    branch_labels: Mapping[int, NDArray[np.int64]]
    """By the branch's cut: [M]."""
    branch_scores: Mapping[int, NDArray[np.float32]]
    """By the branch's cut: [M, S]."""
    final_labels_M: NDArray[np.int64]
    """The whole network on the device: nothing is sent."""
    edge: Mapping[tuple[int, str], EdgeAnswers]
    """By (split, codec)."""


def observe(
    bundle: Bundle,
    runtime: Runtime,
    samples: Array,
    codecs: Mapping[int, list[str]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Observations:
    """Run samples [M, *shape] through every branch, and through every codec of `codecs` (by split).

    `progress` is called with (samples done, samples in all).
    """
    opened = {(split, name): open_codec(name, bundle.manifest, split) for split in codecs for name in codecs[split]}
    tail = Tail(bundle, runtime)
    heard = _Heard(bundle, runtime, {branch.cut for branch in bundle.manifest.branches}, set(codecs))
    answers: dict[tuple[int, str], list[NDArray[np.int64]]] = {key: [] for key in opened}
    sizes: dict[tuple[int, str], list[int]] = {key: [] for key in opened}

    for first in range(0, len(samples), BATCH):
        for cut, feature in heard.walk(samples[first : first + BATCH]):
            for key, codec in opened.items():
                if key[0] == cut:
                    payloads = [codec.encode(one) for one in _singles(feature)]
                    answers[key].append(tail.run(cut, [codec.decode(payload) for payload in payloads]).argmax(axis=1))
                    sizes[key].extend(map(len, payloads))
        progress(min(first + BATCH, len(samples)), len(samples))

    return Observations(
        branch_labels={cut: np.concatenate(parts) for cut, parts in heard.labels.items()},
        branch_scores={cut: np.concatenate(parts) for cut, parts in heard.scores.items()},
        final_labels_M=np.concatenate(heard.final),
        edge={
            key: EdgeAnswers(labels_M=np.concatenate(parts), payload_bytes_M=np.array(sizes[key], dtype=np.int64))
            for key, parts in answers.items()
        },
    )


class _Heard:
    """Walks batches from point to point and notes what the branches and the end of the network say."""

    def __init__(self, bundle: Bundle, runtime: Runtime, branches: set[int], splits: set[int]) -> None:
        self._runtime = runtime
        self._end = bundle.manifest.end
        self._points = sorted(branches | splits | {self._end})
        self.labels: dict[int, list[NDArray[np.int64]]] = {cut: [] for cut in sorted(branches)}
        self.scores: dict[int, list[NDArray[np.float32]]] = {cut: [] for cut in sorted(branches)}
        self.final: list[NDArray[np.int64]] = []

    def walk(self, batch: Array) -> Iterator[tuple[int, Feature]]:
        """Yields each point before the end, with the feature there."""
        feature: Feature = (batch,)
        here = 0
        for point in self._points:
            if point > here:
                outputs = self._runtime.open(here, point, branch=point in self.labels).run(feature)
                feature, here = outputs.feature, point
                if outputs.logits_NK is not None and outputs.scores_NS is not None:
                    self._note(point, outputs.logits_NK, outputs.scores_NS)
            if here < self._end:
                yield here, feature

    def _note(self, point: int, logits_NK: NDArray[np.float32], scores_NS: NDArray[np.float32]) -> None:
        said = logits_NK.argmax(axis=1)
        if point == self._end:
            self.final.append(said)
        else:
            self.labels[point].append(said)
            self.scores[point].append(scores_NS)


def _singles(feature: Feature) -> Iterator[Feature]:
    for index in range(len(feature[0])):
        yield tuple(tensor[index : index + 1] for tensor in feature)
