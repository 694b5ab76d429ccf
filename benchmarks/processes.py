"""The other end of a benchmark, in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import CORES, pin
from offramp.wire.address import Address, parse_address


@contextmanager
def an_edge(*flags: str, pinned: bool) -> Iterator[Address]:
    """A running `offramp edge`; `flags` beside the address to listen at."""
    with _ready(["offramp.cli", "edge", "--listen", "127.0.0.1:0", *flags], pinned) as line:
        yield parse_address(json.loads(line)["listen"])


@contextmanager
def an_orchestrator(*flags: str, pinned: bool) -> Iterator[tuple[Address, int]]:
    """A running `offramp orchestrate` without Ray, and its process id; pinned before it starts a thread."""
    command = [sys.executable, "-m", "offramp.cli", "orchestrate", "--in-process", "--listen", "127.0.0.1:0", *flags]
    # What it has to say about each of thousands of devices is for nobody.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        try:
            if pinned:
                pin(CORES[-1], process.pid)
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended with exit code {process.wait()}; run it to see why")
            yield parse_address(json.loads(line)["listen"]), process.pid
        finally:
            process.terminate()


@contextmanager
def an_echo(length: int, *, pinned: bool) -> Iterator[Address]:
    """A running echo server that answers each frame with `length` bytes."""
    with _ready(["benchmarks.echo", str(length)], pinned) as line:
        yield Address(host="127.0.0.1", port=int(line))


def run(module: str, *arguments: object, pinned: bool) -> str:
    """What `python -m module …` printed, run to its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        if pinned:
            pin(CORES[-1], process.pid)
        printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"python -m {module} ended with exit code {process.returncode}")
    return printed


@contextmanager
def a_bare_edge(bundle: Path, split: int, codec: str, threads: int, *, pinned: bool) -> Iterator[Address]:
    """A running edge with nothing around it."""
    with _ready(["benchmarks.bare", str(bundle), str(split), codec, str(threads)], pinned) as line:
        yield Address(host="127.0.0.1", port=int(line))


class Worker:
    """A running `python -m module …` that measures rounds on demand; a context manager."""

    def __init__(self, module: str, *arguments: object, pinned: bool) -> None:
        self._command = [sys.executable, "-m", module, *map(str, arguments)]
        self._pinned = pinned

    def __enter__(self) -> "Worker":
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        if self._pinned:
            pin(CORES[0], self._process.pid)
        self._line()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()

    def rounds(self, count: int) -> dict[str, list[float]]:
        """Seconds of each of its cases in `count` rounds."""
        assert self._process.stdin is not None
        print(count, file=self._process.stdin, flush=True)
        seconds: dict[str, list[float]] = json.loads(self._line())
        return seconds

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended with exit code {self._process.wait()}")
        return line


@contextmanager
def _ready(module: list[str], pinned: bool) -> Iterator[str]:
    """A running `python -m …`, and the first line that it prints."""
    command = [sys.executable, "-m", *module]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment()) as process,
    ):
        try:
            if pinned:
                pin(CORES[-1], process.pid)
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                said.seek(0)
                raise RuntimeError(f"{' '.join(command)} ended with exit code {process.wait()}:\n{said.read()}")
            yield line
        finally:
            process.terminate()


def environment() -> dict[str, str]:
    """That of a child. Whatever chooses a number of threads by itself (numpy's BLAS) shall not choose more than one."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}
