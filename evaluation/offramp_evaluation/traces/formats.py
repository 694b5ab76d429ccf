"""Trace files: which formats there are, which one a file is in, and how it is read.

mahimahi   one integer a line: the millisecond at which one packet of 1500 bytes can be delivered
pensieve   `seconds<TAB>Mbit/s` a line, no header
csv        a header with named columns (see `offramp_evaluation.traces.csvfile`)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from offramp.errors import DataError
from offramp.registry import Catalogue
from offramp.units import Seconds
from offramp_evaluation.traces.csvfile import read_csv
from offramp_evaluation.traces.operations import bins
from offramp_evaluation.traces.trace import After, Trace

PACKET_BYTES = 1500
"""What one line of a Mahimahi file lets through."""
MAX_FILE = 256 << 20  # 256 MiB: 40 million packets, an hour at 130 Mbit/s; a larger file is no trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read a file where it leaves a choice."""

    bin: Seconds = Seconds(0.1)
    """Into which Mahimahi's packets are gathered."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Meaning to column of a CSV file whose header does not say it: `{"rate": "DL_bitrate:kbit"}`."""


class Reader(Protocol):
    def __call__(self, name: str, lines: Sequence[str], reading: Reading) -> Trace: ...


def read_trace(path: str | Path, *, kind: str | None = None, reading: Reading | None = None) -> Trace:
    """The trace in a file, named after it; `kind` names the format and overrides what the file looks like.

    Raises:
        DataError: The file cannot be read, is empty, is in no known format, or a line breaks its format.
        UnknownNameError: There is no format of this name.
    """
    location = Path(path)
    lines = _read_lines(location)
    try:
        reader = FORMATS[detect_format(lines) if kind is None else kind]
        return reader(location.name, lines, reading or Reading())
    except DataError as error:
        raise DataError(f"{location}: {error}") from error


def detect_format(lines: Sequence[str]) -> str:
    """The format that the first line with something in it looks like.

    Raises:
        DataError: It looks like none of them.
    """
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        raise DataError("empty; a trace has at least one line")
    number = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
    if re.fullmatch(r"[-+]?\d+", first):
        return "mahimahi"
    if re.fullmatch(rf"{number}\s+{number}", first):
        return "pensieve"
    if re.search(r"[A-Za-z]", first) and re.search(r"[,;\t]", first):
        return "csv"
    raise DataError(
        f"it begins with {first[:60]!r}, which looks like no trace ({', '.join(FORMATS)}); "
        "name the format with --format, or give a CSV file with a header"
    )


def read_mahimahi(name: str, lines: Sequence[str], reading: Reading) -> Trace:
    """Packets gathered into bins. As Mahimahi has it, the trace ends with its last line and starts again."""
    stamps: list[int] = []
    for number, line in _numbered(lines):
        try:
            stamp = int(line)
        except ValueError:
            raise DataError(f"line {number} is {line[:60]!r}; expected a millisecond, a whole number") from None
        if stamp < (stamps[-1] if stamps else 0):
            before = f"after {stamps[-1]}" if stamps else "before 0"
            raise DataError(f"line {number} is {stamp}, {before}; milliseconds never fall from line to line")
        stamps.append(stamp)
    if not stamps:
        raise DataError("empty; expected one millisecond a line")
    if stamps[-1] == 0:
        raise DataError(f"all {len(stamps)} lines are 0; a trace lasts longer than 0 ms")
    duration = stamps[-1] / 1000.0
    edges = bins(duration, reading.bin)
    # In whole microseconds, so that 300 ms lies in the bin that starts there and bins are equally long.
    edges_us = np.rint(edges * 1e6).astype(np.int64)
    # numpy closes the last bin on both sides, so every packet counts.
    counts, _ = np.histogram(np.array(stamps) * 1000, edges_us)
    rate_T = counts * PACKET_BYTES * 8_000_000 / np.diff(edges_us)
    return Trace.of(name, edges[:-1], rate_T, duration=duration, after=After.REPEAT)


def read_pensieve(name: str, lines: Sequence[str], reading: Reading) -> Trace:  # noqa: ARG001 - a Reader's shape
    """Each rate is that of the interval which *ends* at its time; the first line only says where time starts.

    So Pensieve's simulator replays these files, and so their loggers wrote them (bytes since the last entry). It
    starts again at the end.
    """
    times: list[float] = []
    rates: list[float] = []
    for number, line in _numbered(lines):
        parts = line.split()
        try:
            time, rate = map(float, parts)
        except ValueError:
            raise DataError(f"line {number} is {line[:60]!r}; expected `seconds<TAB>Mbit/s`, two numbers") from None
        if not (np.isfinite(time) and np.isfinite(rate) and rate >= 0):
            raise DataError(f"line {number} is {line[:60]!r}; expected a time and a rate that is 0 or more")
        if times and time <= times[-1]:
            raise DataError(f"line {number} is at {time} s, not after {times[-1]} s; times must grow")
        times.append(time)
        rates.append(rate)
    if len(times) < 2:
        raise DataError(f"{len(times)} line(s); expected two or more, since a rate holds from one time to the next")
    edges = np.array(times) - times[0]
    return Trace.of(name, edges[:-1], np.array(rates[1:]) * 1e6, duration=edges[-1], after=After.REPEAT)


def _read_csv(name: str, lines: Sequence[str], reading: Reading) -> Trace:
    return read_csv(name, lines, reading.columns)


FORMATS: Catalogue[Reader] = Catalogue(
    "trace format", [("mahimahi", read_mahimahi), ("pensieve", read_pensieve), ("csv", _read_csv)]
)


def _read_lines(path: Path) -> list[str]:
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise DataError(f"{path} has {size} bytes; a trace has at most {MAX_FILE}, cut it first")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; give a trace file") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text (byte {error.start}); give a trace file: {', '.join(FORMATS)}") from error


def _numbered(lines: Sequence[str]) -> list[tuple[int, str]]:
    """Lines that hold something, with the number that an editor shows."""
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
