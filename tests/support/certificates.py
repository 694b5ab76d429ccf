"""Certificates, made by the script that deploy/ ships."""

import shutil
import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "deploy/certificates/make-certificates"


def make_certificates(out: Path) -> Path:
    """ca.crt, edge.crt, edge.key, board.crt and board.key; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make certificates with")
    subprocess.run([_SCRIPT, out, "edge.test", "board"], check=True, capture_output=True)
    return out
