"""Run a command that is told to stop as soon as whoever started it has ended, however that happened.

    python -m offramp_orchestrator.tether PARENT COMMAND …     PARENT is the process id of the starter

Linux sends the signal itself, so that it comes after a kill -9 too. It goes by the *thread* that started the command:
that one has to live as long as the command shall. A program of its own, because between fork and exec of a process
with many threads no Python may run.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; it survives the exec below


def tethered(command: Sequence[str]) -> list[str]:
    """The command as this process has to start it."""
    return [sys.executable, "-m", "offramp_orchestrator.tether", str(os.getpid()), *command]


def main(arguments: Sequence[str]) -> None:
    """Never returns."""
    parent, *command = arguments
    # SIGTERM and not SIGKILL: an edge finishes what it took, and tells its devices.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):  # it ended before we asked
        sys.exit(f"process {parent}, which this should end with, has ended already")
    os.execvp(command[0], command)  # noqa: S606 - whoever may start us may start it


if __name__ == "__main__":
    main(sys.argv[1:])
