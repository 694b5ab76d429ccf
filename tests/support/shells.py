"""Python in a process of its own: for what can be done once a process, or must not be seen by other tests."""

import subprocess
import sys
from textwrap import dedent


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the code with `arguments` in sys.argv[1:]; fails when it does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
