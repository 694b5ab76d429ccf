"""When samples arrive.

fixed     in step, as a camera delivers
poisson   independent of each other
recorded  as a file says: seconds, one a line, or the column of a CSV

# M samples
"""

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.errors import DataError, SettingsError

Times = NDArray[np.float64]

UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
COLUMNS = tuple(name + f"_{unit}" * bool(unit) for name in ("arrival", "time") for unit in UNITS)
"""Names by which a CSV's column of arrivals is found; those without a unit hold seconds."""


def fixed(rate: float, count: int, *, phase: float = 0.0) -> Times:
    """[M] every 1 / rate seconds; `phase` in [0, 1) shifts it within one period."""
    _check(rate, count)
    times: Times = (np.arange(count, dtype=np.float64) + phase) / rate
    return times


def poisson(rate: float, count: int, *, seed: int) -> Times:
    """[M] independent of each other, `rate` a second on average."""
    _check(rate, count)
    gaps: Times = np.random.default_rng(seed).exponential(1.0 / rate, count)
    return np.cumsum(gaps)


def recorded(times: Times) -> Times:
    """[M] as they were, from the first on.

    Raises:
        SettingsError: They are not in order.
    """
    if np.any(np.diff(times) < 0):
        raise SettingsError("recorded arrivals are not in order; sort them by time")
    shifted: Times = times - times[0]
    return shifted


def read_arrivals(path: Path) -> Times:
    """[M] of a file, from the first on: one number of seconds a line, or a CSV with a column such as `time_ms`.

    Raises:
        DataError: No file there, or no arrivals in it; a value that is no number, or earlier than the one before it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and line.strip()[0] != "#"]
    if not rows:
        raise DataError(f"{path} is empty; write one arrival a line, in seconds, or a CSV with a column time_s")
    column, factor = 0, 1.0
    if _number(rows[0][1]) is None:
        column, factor = _column(path, next(csv.reader([rows[0][1]])))
        rows = rows[1:]
    found: list[float] = []
    for number, line in rows:
        fields = next(csv.reader([line]))
        value = _number(fields[column]) if column < len(fields) else None
        if value is None:
            raise DataError(
                f"{path}, line {number}: {line.strip()[:40]!r} holds no time; expected seconds, such as 0.125"
            )
        if found and value * factor < found[-1]:
            raise DataError(
                f"{path}, line {number}: {value * factor:g} s comes after {found[-1]:g} s; sort the file by time"
            )
        found.append(value * factor)
    if not found:
        raise DataError(f"{path} has a header and no row below it; write one arrival a row")
    return recorded(np.array(found))


def _column(path: Path, header: list[str]) -> tuple[int, float]:
    names = [name.strip().lower() for name in header]
    for wanted in COLUMNS:
        if wanted in names:
            return names.index(wanted), UNITS[wanted.partition("_")[2]]
    raise DataError(
        f"{path} has no column of arrivals among {', '.join(names)!r}; name it time_s (or time_ms, time_us), or write "
        "seconds alone, one a line"
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _check(rate: float, count: int) -> None:
    if not rate > 0 or not np.isfinite(rate):
        raise SettingsError(f"{rate:g} samples a second cannot arrive; give a positive rate")
    if count < 1:
        raise SettingsError(f"{count} samples make no run; give at least 1")
