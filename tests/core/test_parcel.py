from pathlib import Path

import pytest

from offramp.bundle.parcel import read_files, write_files
from offramp.bundle.store import Bundle
from offramp.errors import BundleError


def test_a_bundle_travels_whole(tiny_bundle: Bundle, tmp_path: Path) -> None:
    assert write_files(read_files(tiny_bundle), tmp_path / "copy").manifest == tiny_bundle.manifest


def test_a_bundle_that_was_damaged_on_its_way_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    files = read_files(tiny_bundle)
    files["graph/weights.bin"] = files["graph/weights.bin"][:-1]
    with pytest.raises(BundleError, match=r"weights.bin is corrupt"):
        write_files(files, tmp_path / "copy")
