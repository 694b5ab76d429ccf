"""Traces as CSV with named columns.

    time_s,rate_mbps,delay_ms,loss,up
    0.0,4.2,20,0,1
    0.5,3.9,22,0.01,1

A row holds from its time to the next one's; the last row lasts as long as the one before it. Only time and rate are
needed. Names carry their unit (`time_ms`, `rate_kbps`); a file with other names is read with a mapping such as
`{"time": "Timestamp:ms", "rate": "DL_bitrate:kbit"}`.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from offramp.errors import DataError
from offramp.registry import unknown
from offramp_evaluation.traces.trace import Trace

_UNITS = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "rate": {"bit": 1.0, "bps": 1.0, "kbit": 1e3, "kbps": 1e3, "mbit": 1e6, "mbps": 1e6},
    "delay": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "loss": {"": 1.0, "percent": 0.01},
    "up": {"": 1.0},
}
"""Meaning of a column to the factor that makes it seconds, bits per second, seconds, a share, 1 or 0."""


def read_csv(name: str, lines: Sequence[str], columns: Mapping[str, str]) -> Trace:
    """The trace in the lines of a CSV file; rows where `up` is 0 are outages. After the end, the last row holds.

    Raises:
        DataError: A column is missing, or a row has a value that is not a number or out of its range.
    """
    heads = [number for number, line in enumerate(lines) if line.strip()]
    if not heads:
        raise DataError("empty; expected a header such as time_s,rate_mbps")
    first = heads[0]
    delimiter = max(",;\t", key=lines[first].count)
    header = [field.strip() for field in next(csv.reader([lines[first]], delimiter=delimiter))]
    chosen = _choose(header, columns)
    values: dict[str, list[float]] = {meaning: [] for meaning in chosen}
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if not line.strip():
            continue
        fields = next(csv.reader([line], delimiter=delimiter))
        for meaning, (index, factor) in chosen.items():
            values[meaning].append(_number(fields, index, header[index], number) * factor)
        _check_row(values, number)
    if not values["time"]:
        raise DataError(f"only a header in line {first + 1}; expected a row below it")
    start = values["time"][0]
    time = [moment - start for moment in values["time"]]
    last = time[-1] - time[-2] if len(time) > 1 else 1.0
    up = values.get("up", [1.0] * len(time))
    return Trace.of(
        name,
        time,
        [rate if there else 0.0 for rate, there in zip(values["rate"], up, strict=True)],
        duration=time[-1] + last,
        delay=values.get("delay", 0.0),
        loss=values.get("loss", 0.0),
    )


def write_csv(trace: Trace, path: str | Path) -> None:
    """Write a trace so that `read_csv` gives the same back, but for the length of the last piece and the name."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time_s", "rate_bps", "delay_s", "loss"])
        for row in zip(trace.time_T, trace.rate_T, trace.delay_T, trace.loss_T, strict=True):
            writer.writerow([repr(float(value)) for value in row])


def parse_columns(text: str) -> dict[str, str]:
    """Read `time=Timestamp:ms,rate=DL_bitrate:kbit`.

    Raises:
        DataError: A part is not `meaning=column` with a meaning that there is.
    """
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        meaning, equals, column = part.partition("=")
        if not equals or not column:
            raise DataError(f"{part!r} names no column; write meaning=column, such as rate=DL_bitrate:kbit")
        columns[meaning.strip()] = column.strip()
    return columns


def _choose(header: list[str], columns: Mapping[str, str]) -> dict[str, tuple[int, float]]:
    """Meaning to (index of its column, factor to SI)."""
    chosen: dict[str, tuple[int, float]] = {}
    for meaning, text in columns.items():
        if meaning not in _UNITS:
            raise DataError(unknown("meaning of a column", meaning, list(_UNITS)))
        column, colon, unit = text.rpartition(":")
        if not colon:
            column, unit = text, next(iter(_UNITS[meaning]))
        if column not in header:
            raise DataError(unknown("column", column, header))
        if unit.lower() not in _UNITS[meaning]:
            raise DataError(unknown(f"unit of {meaning}", unit, list(_UNITS[meaning])))
        chosen[meaning] = (header.index(column), _UNITS[meaning][unit.lower()])
    for index, column in enumerate(header):
        meaning, _, unit = column.lower().partition("_")
        if meaning in _UNITS and meaning not in chosen and unit in _UNITS[meaning]:
            chosen[meaning] = (index, _UNITS[meaning][unit])
    for meaning in ("time", "rate"):
        if meaning not in chosen:
            usual = "time_s" if meaning == "time" else "rate_mbps"
            raise DataError(
                f"no column for the {meaning} among {', '.join(header)}; "
                f"name it {usual}, or say which it is: {meaning}=COLUMN:{next(iter(_UNITS[meaning]))}"
            )
    return chosen


def _number(fields: list[str], index: int, column: str, number: int) -> float:
    if index >= len(fields):
        raise DataError(f"line {number} has {len(fields)} fields; column {column!r} is the {index + 1}th")
    try:
        value = float(fields[index])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"line {number} has {fields[index]!r} in column {column!r}; expected a number")
    return value


def _check_row(values: Mapping[str, list[float]], number: int) -> None:
    time = values["time"]
    if len(time) > 1 and time[-1] <= time[-2]:
        raise DataError(f"line {number} is at {time[-1]} s, not after {time[-2]} s; times must grow")
    for meaning, most in (("rate", math.inf), ("delay", math.inf), ("loss", 1.0)):
        if meaning in values and not 0 <= values[meaning][-1] <= most:
            limit = "0 or more" if most == math.inf else "a share between 0 and 1"
            raise DataError(f"line {number} has the {meaning} {values[meaning][-1]:g}; expected {limit}")
