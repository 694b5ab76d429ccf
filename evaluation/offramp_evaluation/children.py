"""Processes that this one started to work for it: how they end, when they are told to and when they die."""

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

PATIENCE = 5.0
"""Seconds that a process may take to end after it was told to."""


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    process: BaseProcess
    connection: Connection
    """Our end of the pipe."""

    def death(self) -> str:
        """Of one that no longer answers, how it ended: `killed by signal 9; out of memory?`."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        why = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"{why}; out of memory?"


def end(children: Sequence[Child]) -> None:
    """All at once."""
    for child in children:
        child.process.terminate()
    for child in children:
        child.process.join(PATIENCE)
        child.connection.close()
