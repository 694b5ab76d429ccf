"""Pages of docs/, run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of this language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def run_line(line: str, desk: Path) -> str:
    """What an `offramp` command of a page prints, called in the folder `desk`."""
    program, *flags = shlex.split(line)
    assert program == "offramp"
    done = subprocess.run(
        [sys.executable, "-m", "offramp.cli", *flags],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout
