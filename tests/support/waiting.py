"""For what other processes do in their own time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which what was awaited is taken not to come; a busy machine needs some."""


def eventually(look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first true thing that `look` returns; fails when none comes in time."""
    end = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < end, f"after {patience:g} s still not: {what}"
        time.sleep(0.05)
    return found
