"""What a person at the terminal sees while a device runs: news, one line that keeps changing, the summary."""

import threading
from typing import IO

from offramp.measure.link import LinkEstimate
from offramp.units import format_bytes, format_rate, format_seconds
from offramp_device.report import Summary

_CLEAR = "\r\x1b[K"


class Progress:
    """Writes to standard error; the changing line only where that is a terminal. Safe from any thread."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._line = ""

    def tell(self, message: str) -> None:
        """News, with the command's name before it."""
        self.write(f"offramp device: {message}")

    def write(self, text: str) -> None:
        with self._lock:
            self._stream.write(f"{_CLEAR if self._line else ''}{text}\n{self._line}")
            self._stream.flush()

    def show(self, summary: Summary, link: LinkEstimate | None) -> None:
        """The changing line."""
        if self._terminal and summary.samples:
            with self._lock:
                self._line = progress_line(summary, link)
                self._stream.write(_CLEAR + self._line)
                self._stream.flush()

    def clear(self) -> None:
        with self._lock:
            if self._line:
                self._line = ""
                self._stream.write(_CLEAR)
                self._stream.flush()


def progress_line(summary: Summary, link: LinkEstimate | None) -> str:
    """Counts, shares, mean latency, link: as much as fits into a usual terminal."""
    total = summary.samples
    shares = ", ".join(f"{kind} {count / total:.0%}" for kind, count in sorted(summary.answered.items()) if count)
    parts = [f"{total} samples", shares]
    if summary.mean_latency is not None:
        parts.append(f"mean {format_seconds(summary.mean_latency)}")
    if summary.wire_bytes:
        parts.append(f"{format_bytes(summary.wire_bytes / total)} a sample")
    if link is not None:
        parts.append(f"link {format_rate(link.bandwidth)}, {format_seconds(link.round_trip)}")
    return "  ".join(parts)
