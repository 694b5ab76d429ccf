"""Recorded samples on their way to the tape: checked against the header and encoded into its columns.

# N samples, K classes, k logits kept, S fused scores
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.errors import TapeError
from offramp.tape.columns import TEXT, Column, bytes_column, classes_column, columns_of, logits_column, scores_column
from offramp.tape.header import TapeHeader

Array = NDArray[Any]

SUBSETS = ("train", "calibration", "test")
LARGEST_HALF = 65504.0
"""float16 ends here; a larger logit is kept as this one, and the classes keep their order."""


@dataclass(slots=True, kw_only=True)
class TapeRows:
    """Some samples, in the order of the data set, and all that was said about them."""

    id: Array
    """[N] position in the data set: unique on a tape."""
    index: Array
    """[N] position in its stream."""
    group: Array
    """[N] the independent unit that a sample belongs to: a run of frames, a patient, or the sample itself."""
    truth: Array
    """[N] index of the right class, -1 where nobody knows."""
    stream: Array
    """[N] names."""
    subset: Array
    """[N] train, calibration or test."""
    logits: Mapping[str, Array]
    """Voice to [N, K], raw."""
    scores: Mapping[str, Array]
    """Voice to [N, S], for every voice that has scores."""
    payload_bytes: Mapping[tuple[int, str], Array] = field(default_factory=dict)
    """(split, codec) to [N]."""


def encode(rows: TapeRows, header: TapeHeader, count: int) -> list[tuple[Column, Array]]:
    """Every column of the file with its array, for `count` samples.

    Raises:
        TapeError: Something that the header promises is missing, or has another shape, or cannot be stored.
    """
    _same("voices with logits", set(rows.logits), set(header.voices))
    _same("voices with scores", set(rows.scores), {voice for voice in header.voices if header.has_scores(voice)})
    _same("codecs", set(rows.payload_bytes), {(entry.split, entry.codec) for entry in header.codecs})
    strange = set(np.unique(np.asarray(rows.subset)).tolist()) - set(SUBSETS)
    if strange:
        raise TapeError(f"a sample is of the subset {sorted(strange)[0]!r}; known: {', '.join(SUBSETS)}")
    values: dict[str, Array] = {
        name: np.asarray(getattr(rows, name)) for name in ("id", "index", "group", "truth", "stream", "subset")
    }
    for voice in header.voices:
        logits_NK = _checked(f"logits of {voice}", rows.logits[voice], (count, header.classes))
        if header.top_k:
            classes_Nk = top_classes(logits_NK, header.top_k)
            values[classes_column(voice)] = classes_Nk
            logits_NK = np.clip(np.take_along_axis(logits_NK, classes_Nk, axis=1), -LARGEST_HALF, LARGEST_HALF)
        values[logits_column(voice)] = logits_NK
        if header.has_scores(voice):
            shape = (count, len(header.scores))
            values[scores_column(voice)] = _checked(f"scores of {voice}", rows.scores[voice], shape)
    for (split, codec), nbytes in rows.payload_bytes.items():
        values[bytes_column(split, codec)] = np.asarray(nbytes)
    return [(column, _stored(column, values[column.name], count)) for column in columns_of(header)]


def top_classes(logits_NK: Array, kept: int) -> Array:
    """[N, k] the classes of the largest logits, best first; of equal ones the lower class, as argmax has it."""
    threshold_N1 = np.partition(logits_NK, -kept, axis=1)[:, -kept, None]
    above_NK = logits_NK > threshold_N1
    # Of those that equal the threshold, the first ones fill up.
    level_NK = logits_NK == threshold_N1
    spare_N1 = kept - above_NK.sum(axis=1, keepdims=True)
    chosen_NK = above_NK | (level_NK & (np.cumsum(level_NK, axis=1) <= spare_N1))
    classes_Nk = np.nonzero(chosen_NK)[1].reshape(len(logits_NK), kept)
    order_Nk = np.argsort(-np.take_along_axis(logits_NK, classes_Nk, axis=1), axis=1, kind="stable")
    best_Nk: Array = np.take_along_axis(classes_Nk, order_Nk, axis=1)
    return best_Nk


def _checked(what: str, values: Array, shape: tuple[int, int]) -> Array:
    found = np.asarray(values)
    if found.shape != shape:
        raise TapeError(f"the {what} have shape {found.shape}, expected {shape}")
    if not np.all(np.isfinite(found)):
        row = int(np.argmin(np.isfinite(found).all(axis=1)))
        raise TapeError(f"the {what} are not finite in row {row}: {found[row]}; a broken network is not worth a tape")
    return found


def _stored(column: Column, values: Array, count: int) -> Array:
    if len(values) != count:
        raise TapeError(f"the column {column.name} has {len(values)} rows, expected {count}")
    if column.dtype == TEXT:
        return values.astype(np.str_)
    kind = np.dtype(column.dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        if values.dtype.kind not in "iu" or values.min() < limits.min or values.max() > limits.max:
            raise TapeError(
                f"the column {column.name} holds {values.dtype} up to {values.max()}; expected {column.dtype}"
            )
    return np.ascontiguousarray(values, dtype=kind)


def _same(what: str, found: Set[Any], expected: Set[Any]) -> None:
    if found != expected:
        missing, extra = sorted(map(str, expected - found)), sorted(map(str, found - expected))
        raise TapeError(f"the {what} are not those of the header: missing {missing[:3]}, not promised {extra[:3]}")
