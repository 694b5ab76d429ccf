"""Which samples are recorded, in which order, and what is known of each.

    data set ─ split, as the builder did ─► subsets ─ limit, whole groups ─► rows of the tape

# N samples of the data set, M of them recorded, K classes
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.data.dataset import DataSet, content_digest, positions, split
from offramp.data.labels import relabelled
from offramp.errors import DataError
from offramp.records import Array, SampleSpec

SUBSETS = ("train", "calibration", "test")
"""In the order of a tape."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """Samples to record, in the order of the tape."""

    name: str
    """Of the data set."""
    digest: str
    """Of these samples, their order, truth, groups and subsets."""
    classes: int
    source: Array
    """Where the samples lie: the whole data set, or a copy of these alone where they are few."""
    place_M: NDArray[np.int64]
    """Of each sample in the source."""
    id_M: NDArray[np.int64]
    """Position in the data set."""
    group_M: NDArray[np.int64]
    truth_M: NDArray[np.int64]
    subset_M: NDArray[np.str_]
    stream_M: NDArray[np.str_]
    """Each stream of a subset by name, such as `mitbih/test/100`; a subset without any is one stream."""
    index_M: NDArray[np.int64]
    """Position in its stream, in the order of the data set."""

    def __len__(self) -> int:
        return len(self.id_M)

    def samples(self, rows: slice | NDArray[np.int64]) -> Array:
        taken: Array = self.source[self.place_M[rows]]
        return taken

    def sizes(self) -> str:
        """For people: `5,730 calibration, 5,676 test`."""
        return ", ".join(f"{int((self.subset_M == name).sum()):,} {name}" for name in dict.fromkeys(self.subset_M))


def select(
    data: DataSet, manifest: Manifest, subsets: Sequence[str], *, limit: int | None = None, seed: int = 0
) -> Selection:
    """Deal the data set out as a build with this seed does, and take some subsets of it.

    `limit` keeps about so many samples of each subset: whole groups (runs of frames, say), drawn at random.

    Raises:
        DataError: The samples are not what the bundle takes, or too few for three parts.
    """
    if data.sample.shape != manifest.sample.shape or data.sample.dtype != manifest.sample.dtype:
        raise DataError(
            f"{data.name} has samples of {data.sample.dtype} {data.sample.shape}, the bundle {manifest.name!r} takes "
            f"{manifest.sample.dtype} {manifest.sample.shape}; give the data that it was built from"
        )
    truth_N = relabelled(data, manifest.labels).truth_N
    places = _places(data, seed)
    taken = [(name, _limited(places[name], data.group_N, limit, seed)) for name in SUBSETS if name in subsets]
    id_M = np.concatenate([rows for _, rows in taken])
    subset_M = np.concatenate([np.full(len(rows), name) for name, rows in taken])
    stream_M = np.char.add(f"{data.name}/", subset_M)
    if data.stream_N is not None:
        stream_M = np.char.add(np.char.add(stream_M, "/"), data.stream_N[id_M])
    # Of few, a copy: the data set may be let go then, and camera-digits takes 1.5 GB.
    few = 2 * len(id_M) < len(data)
    selection = Selection(
        name=data.name,
        digest="",
        classes=manifest.cuts[-1].tensors[0].elements,
        source=data.samples[id_M] if few else data.samples,
        place_M=np.arange(len(id_M)) if few else id_M,
        id_M=id_M,
        group_M=data.group_N[id_M],
        truth_M=truth_N[id_M],
        subset_M=subset_M,
        stream_M=stream_M,
        index_M=positions(stream_M),
    )
    return replace(selection, digest=_digest(selection, manifest.labels))


def _places(data: DataSet, seed: int) -> dict[str, NDArray[np.int64]]:
    """By subset, positions in the data set: a data set of positions, dealt out in the place of the samples."""
    count = len(data)
    positions = replace(
        data, sample=SampleSpec(kind="array", shape=(), dtype="int64"), samples=np.arange(count, dtype=np.int64)
    )
    parts = split(positions, seed=seed)
    return {name: getattr(parts, name).samples for name in SUBSETS}


def _limited(rows: NDArray[np.int64], group_N: NDArray[np.int64], limit: int | None, seed: int) -> NDArray[np.int64]:
    if limit is None or len(rows) <= limit:
        return rows
    groups, sizes = np.unique(group_N[rows], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), limit)) + 1
    return rows[np.isin(group_N[rows], groups[order[:enough]])][:limit]


def _digest(selection: Selection, labels: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    # Without a second copy of everything: a thousand samples at a time.
    for first in range(0, len(selection), 1000):
        rows = slice(first, first + 1000)
        digest.update(content_digest(selection.samples(rows), selection.truth_M[rows], labels).encode())
    for column in (selection.id_M, selection.group_M, selection.index_M):
        digest.update(np.ascontiguousarray(column, dtype="<i8").data)
    digest.update("\n".join(selection.subset_M.tolist()).encode())
    return digest.hexdigest()
