"""An opened tape: every column as a read-only numpy array, decoded when it is first asked for.

# N samples, K classes, k logits kept, S fused scores
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.errors import TapeError
from offramp.registry import unknown
from offramp.tape.columns import Column, bytes_column, classes_column, columns_of, logits_column, scores_column
from offramp.tape.header import FINAL, TapeHeader, branch_voice, header_from_json
from offramp.tape.parquet import Parquet

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """What one branch, one tail or the end of the network said about every sample."""

    name: str
    logits_Nk: Array
    """[N, K] float32 in the order of the classes, or [N, k] float16, best first."""
    classes_Nk: NDArray[np.integer[Any]] | None
    """[N, k] the classes of the logits; None when all of them are kept."""
    scores_NS: NDArray[np.float32] | None
    """Fused scores, as the header names them; None for tails that carry none."""

    @property
    def label_N(self) -> NDArray[np.int64]:  # noqa: N802 - a column
        """The class that each sample would be answered with; exact also where only the top k are kept."""
        if self.classes_Nk is not None:
            return self.classes_Nk[:, 0].astype(np.int64)
        best_N: NDArray[np.int64] = self.logits_Nk.argmax(axis=1)
        return best_N


class Tape:
    """A finished recording. Arrays are read-only views, shared between calls; indexing with `rows` selects a subset."""

    def __init__(self, path: Path, header: TapeHeader, parquet: Parquet) -> None:
        """Use `open_tape`."""
        self.path = path
        self.header = header
        self._parquet = parquet
        self._columns = {column.name: column for column in columns_of(header)}
        self._read: dict[str, Array] = {}

    def __len__(self) -> int:
        return self.header.samples

    @property
    def id_N(self) -> NDArray[np.int64]:  # noqa: N802 - a column, as those below
        return self._column("id")

    @property
    def index_N(self) -> NDArray[np.int64]:  # noqa: N802
        return self._column("index")

    @property
    def group_N(self) -> NDArray[np.int64]:  # noqa: N802
        """The independent unit of each sample: what a bootstrap or a certificate counts."""
        return self._column("group")

    @property
    def truth_N(self) -> NDArray[np.int32]:  # noqa: N802
        """-1 where nobody knows."""
        return self._column("truth")

    @property
    def stream_N(self) -> NDArray[np.str_]:  # noqa: N802
        return self._column("stream")

    @property
    def subset_N(self) -> NDArray[np.str_]:  # noqa: N802
        """train, calibration or test."""
        return self._column("subset")

    def rows(self, subset: str) -> slice | NDArray[np.intp]:
        """Which rows belong to a subset: a slice where they lie together, so that indexing with it copies nothing.

        Raises:
            TapeError: No sample is of this subset.
        """
        found = np.flatnonzero(self.subset_N == subset)
        if len(found) == 0:
            raise TapeError(f"{self.path}: {unknown('subset', subset, sorted(set(self.subset_N.tolist())))}")
        first, last = int(found[0]), int(found[-1])
        return slice(first, last + 1) if last + 1 - first == len(found) else found

    def branch(self, cut: int) -> Voice:
        """
        Raises:
            TapeError: No branch was recorded at this cut.
        """
        return self.voice(branch_voice(cut))

    def final(self) -> Voice:
        """The whole network, nothing lost on the way: also what every lossless codec leads to."""
        return self.voice(FINAL)

    def answer(self, split: int, codec: str) -> Voice:
        """What the edge answers to payloads of this codec at this split.

        Raises:
            TapeError: This combination was not recorded; the message lists the codecs of the split.
        """
        for entry in self.header.codecs:
            if (entry.split, entry.codec) == (split, codec):
                return self.voice(entry.voice)
        raise TapeError(self._no_codec(split, codec))

    def payload_bytes(self, split: int, codec: str) -> NDArray[np.uint32]:
        """[N] bytes of each payload, before framing.

        Raises:
            TapeError: This combination was not recorded; the message lists the codecs of the split.
        """
        name = bytes_column(split, codec)
        if name not in self._columns:
            raise TapeError(self._no_codec(split, codec))
        return self._column(name)

    def voice(self, name: str) -> Voice:
        """
        Raises:
            TapeError: No such voice was recorded.
        """
        if name not in self.header.voices:
            raise TapeError(f"{self.path}: {unknown('voice', name, self.header.voices)}")
        return Voice(
            name=name,
            logits_Nk=self._column(logits_column(name)),
            classes_Nk=self._column(classes_column(name)) if self.header.top_k else None,
            scores_NS=self._column(scores_column(name)) if self.header.has_scores(name) else None,
        )

    def digest(self) -> str:
        """sha256 of the file, in hexadecimal: what is derived from a tape names it by this."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def verify(self) -> None:
        """Decode every column, checksums included.

        Raises:
            TapeError: A column is corrupt; the message names the file.
        """
        for column in self._columns.values():
            self._parquet.read(self.path, column)

    def _column(self, name: str) -> Array:
        if name not in self._read:
            self._read[name] = self._parquet.read(self.path, self._columns[name])
        return self._read[name]

    def _no_codec(self, split: int, codec: str) -> str:
        there = [entry.codec for entry in self.header.codecs if entry.split == split]
        if not there:
            splits = sorted({entry.split for entry in self.header.codecs})
            return (
                f"{self.path} has nothing recorded at split {split}; recorded: {', '.join(map(str, splits)) or 'none'}"
            )
        return f"{self.path}: {unknown(f'codec recorded at split {split}', codec, there)}"


def open_tape(path: str | Path) -> Tape:
    """Read a tape's header; columns are read, mapped from the file, when they are asked for.

    Raises:
        TapeError: No tape there, a corrupt one, one of another format, or a recording that is not finished.
        MissingExtraError: pyarrow is not installed.
    """
    location, parquet = Path(path), Parquet()
    if not location.exists() and location.with_name(location.name + ".parts").is_dir():
        raise TapeError(f"the recording of {location} is not finished; run the same recording again to go on with it")
    text, rows, names = parquet.header(location)
    header = header_from_json(text, str(location))
    expected: list[Column] = columns_of(header)
    if rows != header.samples or names != [column.name for column in expected]:
        raise TapeError(
            f"{location} has {rows} rows and {len(names)} columns where its header says {header.samples} and "
            f"{len(expected)}; record it again"
        )
    return Tape(location, header, parquet)
