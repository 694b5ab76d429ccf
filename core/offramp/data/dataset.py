"""A data set as a value: samples, truth, which samples depend on each other, and who may see what.

    DataSet ─ split ─► train │ calibration │ test          disjoint, and a group never lies in two of them

Samples of one group (frames of one run, clips of one speaker, beats of one patient) resemble each other, so they stay
together in a split and count as one where a guarantee is computed.

# N samples, K classes
"""

import hashlib
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from offramp.errors import DataError
from offramp.records import Array, SampleSpec


class Part(IntEnum):
    """Who may see a sample. UNASSIGNED ones are dealt out by `split`."""

    UNASSIGNED = 0
    TRAIN = 1
    CALIBRATION = 2
    TEST = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """Samples with their truth. The arrays are never written to."""

    name: str
    sample: SampleSpec
    labels: tuple[str, ...]
    """One name per class; truth is an index into it."""
    samples: Array
    """[N, *sample.shape]; may be a memory map."""
    truth_N: NDArray[np.int64]
    group_N: NDArray[np.int64]
    """Equal for samples that depend on each other."""
    part_N: NDArray[np.int8]
    """Values of Part: what the publisher of the data decided, UNASSIGNED where nobody did."""
    digest: str
    """sha256 over everything above that the publisher made: samples, truth and labels."""
    stream_N: NDArray[np.str_] | None = None
    """The stream that each sample came in, and came in this order; None where each part is one stream."""
    mirrors: bool = False
    """Whether a mirrored picture keeps its class: a horse does, a digit does not."""
    moves: bool = True
    """Whether training may move samples a little: a picture stays one, a beat whose peak has its place does not."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(where, why) of what could not be read and was left out."""

    def __post_init__(self) -> None:
        count = len(self.samples)
        if tuple(self.samples.shape[1:]) != self.sample.shape or str(self.samples.dtype) != self.sample.dtype:
            raise DataError(
                f"{self.name}: samples are {self.samples.dtype} {tuple(self.samples.shape[1:])}, "
                f"declared as {self.sample.dtype} {self.sample.shape}"
            )
        for what, column in (
            *(("labels", self.truth_N), ("groups", self.group_N), ("parts", self.part_N)),
            *((("streams", self.stream_N),) if self.stream_N is not None else ()),
        ):
            if column.shape != (count,):
                raise DataError(f"{self.name} has {count} samples but {what} of shape {column.shape}; give one each")
        if count and not 0 <= int(self.truth_N.min()) <= int(self.truth_N.max()) < len(self.labels):
            raise DataError(
                f"{self.name}: class indices run from {self.truth_N.min()} to {self.truth_N.max()}, "
                f"but there are {len(self.labels)} labels, so 0 to {len(self.labels) - 1}"
            )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def groups(self) -> int:
        """How many independent units there are."""
        return len(np.unique(self.group_N))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "DataSet":
        """These samples alone, in this order; name, labels and digest stay those of the whole.

        Neighbouring rows share memory with the whole.
        """
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        # A gigabyte of frames is not copied to be split: its parts lie one behind the other.
        neighbours = len(chosen) > 0 and bool((np.diff(chosen) == 1).all())
        return replace(
            self,
            samples=self.samples[chosen[0] : chosen[-1] + 1] if neighbours else self.samples[chosen],
            truth_N=self.truth_N[rows],
            group_N=self.group_N[rows],
            part_N=self.part_N[rows],
            stream_N=None if self.stream_N is None else self.stream_N[rows],
        )

    def limited(self, count: int | None, *, seed: int = 0) -> "DataSet":
        """At most `count` samples of each part, drawn at random and kept in order; None keeps all.

        Of streams, the same share of each is kept, from its beginning: neighbours stay neighbours.
        """
        if count is None:
            return self
        rng = np.random.default_rng(seed)
        kept = []
        for part in np.unique(self.part_N):
            rows = np.flatnonzero(self.part_N == part)
            order = rng.permutation(len(rows)) if self.stream_N is None else _beginnings_first(self.stream_N[rows])
            kept.append(rows[order[:count]])
        return self.take(np.sort(np.concatenate(kept))) if kept else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Three disjoint parts of one data set; no group lies in two of them."""

    train: DataSet
    calibration: DataSet
    test: DataSet

    def sizes(self) -> str:
        """For people: `1,000 train, 350 calibration, 347 test`."""
        return f"{len(self.train):,} train, {len(self.calibration):,} calibration, {len(self.test):,} test"


def split(data: DataSet, *, calibration: float = 0.1, test: float = 0.1, seed: int = 0) -> Parts:
    """Deal a data set out, whole groups at a time.

    What the publisher assigned stays. A test or calibration part that he left out is drawn from the unassigned groups
    (and, where there are none, from those to train on); the rest is to train on.

    `calibration` and `test` are the shares of the groups to draw where none is assigned.

    Raises:
        DataError: A part would be empty, or the publisher's parts share a group.
    """
    part_N = data.part_N.copy()
    rng = np.random.default_rng(seed)
    assigned = set(np.unique(part_N).tolist())
    for part, share in ((Part.TEST, test), (Part.CALIBRATION, calibration)):
        if part not in assigned:
            _draw(part_N, data.group_N, part, share, rng)
    part_N[part_N == Part.UNASSIGNED] = Part.TRAIN
    _refuse_shared_groups(data, part_N)
    parts = {part: data.take(part_N == part) for part in (Part.TRAIN, Part.CALIBRATION, Part.TEST)}
    for part, chosen in parts.items():
        if not len(chosen):
            raise DataError(
                f"{data.name} leaves nothing for {part.name.lower()}: {len(data)} samples in {data.groups} independent "
                f"group(s) are too few for three disjoint parts; give more data"
            )
    return Parts(train=parts[Part.TRAIN], calibration=parts[Part.CALIBRATION], test=parts[Part.TEST])


def content_digest(samples: Array, truth_N: NDArray[np.int64], labels: tuple[str, ...]) -> str:
    """sha256, in hexadecimal, over values, shapes and label names."""
    digest = hashlib.sha256()
    digest.update(repr((samples.shape, str(samples.dtype), labels)).encode())
    rows = max(1, (8 << 20) // max(1, samples[:1].nbytes))  # 8 MiB at a time: a memory map need not fit
    for start in range(0, len(samples), rows):
        digest.update(np.ascontiguousarray(samples[start : start + rows]).data)
    digest.update(np.ascontiguousarray(truth_N, dtype="<i8").data)
    return digest.hexdigest()


def positions(stream_N: NDArray[np.str_]) -> NDArray[np.int64]:
    """[N] the position of each sample in its stream."""
    _, which_N, lengths = np.unique(stream_N, return_inverse=True, return_counts=True)
    position_N = np.empty(len(stream_N), np.int64)
    starts = np.cumsum(lengths) - lengths
    position_N[np.argsort(which_N, kind="stable")] = np.arange(len(stream_N)) - np.repeat(starts, lengths)
    return position_N


def _beginnings_first(stream_N: NDArray[np.str_]) -> NDArray[np.int64]:
    """Rows by how much of their stream has passed."""
    _, which_N, lengths = np.unique(stream_N, return_inverse=True, return_counts=True)
    return np.argsort(positions(stream_N) / lengths[which_N], kind="stable")


def _draw(
    part_N: NDArray[np.int8], group_N: NDArray[np.int64], part: Part, share: float, rng: np.random.Generator
) -> None:
    free_N = part_N == Part.UNASSIGNED
    if not free_N.any():
        free_N = part_N == Part.TRAIN
    groups = np.unique(group_N[free_N])
    count = max(1, round(share * len(groups))) if len(groups) > 1 else 0
    part_N[free_N & np.isin(group_N, rng.permutation(groups)[:count])] = part


def _refuse_shared_groups(data: DataSet, part_N: NDArray[np.int8]) -> None:
    pairs = np.unique(np.stack([data.group_N, part_N.astype(np.int64)]), axis=1)
    groups, counts = np.unique(pairs[0], return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{data.name}: group {groups[counts > 1][0]} lies in two of train, calibration and test, though its "
            f"samples depend on each other; assign whole groups"
        )
