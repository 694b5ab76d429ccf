"""What became of every sample, in columns: the table that all summaries and comparisons are computed from.

# N samples, in any order; (stream, index) names each of them
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from offramp.errors import DataError
from offramp.records import Answered, Result
from offramp_evaluation.metrics.classification import NOBODY

ANSWERED = tuple(Answered)
"""The code in `answered_N` is the place here."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """One row for every sample that entered, rejected ones included."""

    stream_N: NDArray[np.str_]
    index_N: NDArray[np.int64]
    answered_N: NDArray[np.uint8]
    label_N: NDArray[np.int64]
    """-1 when rejected."""
    truth_N: NDArray[np.int64]
    """-1 when nobody knows."""
    confidence_N: NDArray[np.float64]
    """NaN when rejected."""
    exit_N: NDArray[np.int64]
    """The cut where the answer was read; -1 when rejected."""
    latency_N: NDArray[np.float64]
    """Seconds from scheduled arrival to the Result; for a rejected one, until it was given up."""
    payload_N: NDArray[np.int64]
    wire_N: NDArray[np.int64]
    """Bytes written for the request, framing included."""

    def __post_init__(self) -> None:
        lengths = {field.name: np.shape(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1 or len(lengths["index_N"]) != 1:
            raise DataError(f"columns of unequal length cannot be rows of one table: {lengths}")

    @classmethod
    def of(cls, results: Iterable[Result]) -> Self:
        """The table of live or simulated Results."""
        rows = list(results)

        def column(values: Iterable[Any], dtype: Any) -> NDArray[Any]:
            return np.array(list(values), dtype=dtype)

        return cls(
            stream_N=column((row.stream for row in rows), np.str_),
            index_N=column((row.index for row in rows), np.int64),
            answered_N=column((ANSWERED.index(row.answered) for row in rows), np.uint8),
            label_N=column((NOBODY if row.label is None else row.label for row in rows), np.int64),
            truth_N=column((NOBODY if row.truth is None else row.truth for row in rows), np.int64),
            confidence_N=column((row.confidence for row in rows), np.float64),
            exit_N=column((NOBODY if row.exit is None else row.exit for row in rows), np.int64),
            latency_N=column((row.latency for row in rows), np.float64),
            payload_N=column((row.payload_bytes for row in rows), np.int64),
            wire_N=column((row.wire_bytes for row in rows), np.int64),
        )

    def __len__(self) -> int:
        return len(self.index_N)

    def where(self, answered: Answered) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = self.answered_N == ANSWERED.index(answered)
        return same

    def take(self, rows: NDArray[Any]) -> Self:
        """The rows of a mask, or of indices in their order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def paired(first: Outcomes, second: Outcomes) -> tuple[Outcomes, Outcomes]:
    """Both tables in one order, so that row i of both is the same sample.

    Raises:
        DataError: A sample occurs twice, or in one table only; the message names one.
    """
    ordered = []
    for table in (first, second):
        order = np.lexsort((table.index_N, table.stream_N))
        ordered.append(table.take(order))
        _refuse_twice(ordered[-1])
    one, other = ({*zip(table.stream_N.tolist(), table.index_N.tolist(), strict=True)} for table in ordered)
    if one != other:
        stream, index = min(one ^ other)
        raise DataError(
            f"{len(one ^ other)} samples are in one of the two runs only, such as {stream} #{index}; "
            "compare runs over the same samples"
        )
    return ordered[0], ordered[1]


def _refuse_twice(table: Outcomes) -> None:
    same = (table.stream_N[1:] == table.stream_N[:-1]) & (table.index_N[1:] == table.index_N[:-1])
    if np.any(same):
        row = int(np.argmax(same))
        raise DataError(f"{table.stream_N[row]} #{table.index_N[row]} has two results; every sample has exactly one")
