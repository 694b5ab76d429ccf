import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from offramp_orchestrator.tether import tethered
from tests.support.waiting import eventually

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STARTER = """
import subprocess, sys, time
from offramp_orchestrator.tether import tethered
child = subprocess.Popen(tethered(sys.argv[1:]), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def starter() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", STARTER, *SLEEPER], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.system
def test_a_command_ends_with_a_starter_that_is_killed(starter: subprocess.Popen[str]) -> None:
    assert starter.stdout is not None
    child = psutil.Process(int(starter.stdout.readline()))
    starter.send_signal(signal.SIGKILL)
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the command has ended")


@pytest.mark.system
def test_a_command_whose_starter_has_ended_already_does_not_begin() -> None:
    words = tethered(["echo", "began"])
    words[words.index(str(os.getpid()))] = "1"
    run = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert run.stdout == ""
    assert "has ended already" in run.stderr
