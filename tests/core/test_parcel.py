from pathlib import Path

import pytest

from offramp.bundle.parcel import read_files, unpack, write_files
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from tests.support.tiny_bundle import write_tiny_bundle


def test_a_bundle_travels_whole(tiny_bundle: Bundle, tmp_path: Path) -> None:
    assert write_files(read_files(tiny_bundle), tmp_path / "copy").manifest == tiny_bundle.manifest


def test_a_bundle_that_was_damaged_on_its_way_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    files = read_files(tiny_bundle)
    files["graph/weights.bin"] = files["graph/weights.bin"][:-1]
    with pytest.raises(BundleError, match=r"weights.bin is corrupt"):
        write_files(files, tmp_path / "copy")


def test_parcels_are_unpacked_side_by_side_and_only_once(tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=5)
    parcels, root = [read_files(tiny_bundle), read_files(other)], tmp_path / "unpacked"
    root.mkdir()
    first = unpack(parcels, root)
    written = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert unpack(parcels, root) == first
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == written
    assert [bundle.manifest for bundle in first] == [tiny_bundle.manifest, other.manifest]


def test_what_was_unpacked_and_damaged_is_unpacked_again(tiny_bundle: Bundle, tmp_path: Path) -> None:
    parcels = [read_files(tiny_bundle)]
    (bundle,) = unpack(parcels, tmp_path)
    bundle.file("graph/weights.bin").write_bytes(b"damaged")
    assert unpack(parcels, tmp_path) == [bundle]
    assert bundle.file("graph/weights.bin").read_bytes() == parcels[0]["graph/weights.bin"]
