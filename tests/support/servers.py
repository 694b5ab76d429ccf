"""An `offramp` command that serves, as a process that tests start and end."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`offramp ARGUMENTS`, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "offramp.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it says next on standard output; the test fails with its standard error where it says nothing more."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(process.communicate()[1])
    said: dict[str, Any] = json.loads(line)
    return said
