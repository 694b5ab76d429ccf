"""Certificates of two authorities."""

from pathlib import Path

import pytest

from tests.support.certificates import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one authority; those of a second one are in `other/`."""
    out = make_certificates(tmp_path_factory.mktemp("certificates"))
    make_certificates(out / "other")
    return out
