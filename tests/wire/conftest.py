"""A port that answers, and certificates."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKE_CERTIFICATES = Path(__file__).parents[2] / "deploy/certificates/make-certificates"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.crt, edge.crt, edge.key, board.crt, board.key; and a second authority's in `other/`."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make certificates with")
    out = tmp_path_factory.mktemp("certificates")
    for folder in (out, out / "other"):
        subprocess.run([MAKE_CERTIFICATES, folder, "edge.test", "board"], check=True, capture_output=True)
    return out
