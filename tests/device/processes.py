"""Real processes: an edge, a shaped link, a device."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = dict[str, Any]
PATIENCE = 60
"""Seconds after which a hanging process is a failed test."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "offramp.cli", *map(str, arguments)]


class Listening:
    """A command that prints one JSON line when it is ready, and where it listens."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.address: str = json.loads(self.process.stdout.readline())["listen"]

    def say(self, line: str) -> None:
        """To a shaper: another link."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def an_edge(bundle: Path, address: str = "127.0.0.1:0", *flags: object) -> Iterator[Listening]:
    edge = Listening("edge", "--bundle", bundle, "--listen", address, "--threads", 1, *flags)
    try:
        yield edge
    finally:
        edge.stop()


@contextlib.contextmanager
def a_link(to: str, link: str) -> Iterator[Listening]:
    shaper = Listening("shape", "--control", "--listen", "127.0.0.1:0", "--to", to, "--link", link)
    try:
        yield shaper
    finally:
        shaper.stop()


@dataclass(frozen=True)
class Finished:
    """A device that has ended."""

    code: int
    results: list[Line]
    summary: Line
    said: str
    """Standard error."""

    def count(self, answered: str) -> int:
        return sum(line["answered"] == answered for line in self.results)


class RunningDevice:
    """`offramp device --json`, on one thread."""

    def __init__(self, *arguments: object, stdin: str | None = None) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `finish`
        self.process = subprocess.Popen(
            command("device", "--json", "--threads", 1, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        assert self.process.stdin is not None
        if stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()
            self.process.stdin = None
        self._lines: list[Line] = []

    def line(self) -> Line:
        """The next line, which is kept for `finish` too."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, "the device has ended"
        line: Line = json.loads(text)
        self._lines.append(line)
        return line

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def finish(self) -> Finished:
        if self.process.stdout is not None:
            # Not `communicate`: what `readline` has buffered already would be lost.
            self._lines += [json.loads(text) for text in self.process.stdout]
            self.process.stdout.close()
        self.process.wait(timeout=PATIENCE)
        if self.process.stdin is not None:
            self.process.stdin.close()
        with self._said as said:
            said.seek(0)
            news = said.read()
        results = [line for line in self._lines if "answered" in line]
        summary = next((line["summary"] for line in self._lines if "summary" in line), {})
        return Finished(self.process.returncode, results, summary, news)


def run_device(*arguments: object, stdin: str | None = None) -> Finished:
    return RunningDevice(*arguments, stdin=stdin).finish()
