from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.shelf import device_part
from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.bundle.tables import MAX_TABLES, TABLES, read_tables, write_tables
from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import BundleError
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, noise, noise_of, with_code, with_tables
from tests.support.tiny_bundle import write_tiny_bundle

MANIFEST = with_tables(a_manifest_sending(a_tensor(4, 6), a_tensor(8, low=0.0)))
SHAPES = {FEATURE_CUT: ((4, 6), (8,))}


@pytest.fixture
def with_file(tmp_path: Path) -> Bundle:
    """A bundle that ships tables for its first inner cut."""
    bundle = write_tiny_bundle(tmp_path / "tiny")
    spec = bundle.manifest.cuts[1].tensors[0]
    write_tables(bundle.path / TABLES, with_tables(a_manifest_sending(spec)).tables)
    write_manifest(bundle.path, bundle.manifest)
    return open_bundle(bundle.path)


@pytest.mark.parametrize("name", ["affine4c+zstd-dict", "affine3c+range"])
def test_what_was_written_codes_as_what_was_made(name: str, tmp_path: Path) -> None:
    write_tables(tmp_path / "codecs.npz", MANIFEST.tables)
    read = read_tables(tmp_path / "codecs.npz", SHAPES)
    feature = noise(MANIFEST, FEATURE_CUT)
    assert list(read) == [FEATURE_CUT]
    payload = open_codec(name, MANIFEST, FEATURE_CUT).encode(feature)
    again = a_manifest_sending(*MANIFEST.cuts[FEATURE_CUT].tensors)
    again.tables.update(read)  # type: ignore[attr-defined]
    assert open_codec(name, again, FEATURE_CUT).encode(feature) == payload


def test_an_opened_bundle_offers_what_needs_tables_where_it_has_them(with_file: Bundle) -> None:
    open_codec("affine4c+zstd-dict", with_file.manifest, 1)
    assert list(with_file.manifest.tables) == [1]


def test_tables_are_executed_by_both_ends_and_so_part_of_the_model_digest(with_file: Bundle, tmp_path: Path) -> None:
    assert with_file.manifest.model_digest != write_tiny_bundle(tmp_path / "without").manifest.model_digest
    assert TABLES in device_part(with_file.manifest)


def test_tables_stand_in_no_manifest(with_file: Bundle) -> None:
    assert "tables" not in (with_file.path / "manifest.json").read_text(encoding="utf-8")


def test_a_part_without_its_tables_opens_and_offers_the_rest(with_file: Bundle) -> None:
    (with_file.path / TABLES).unlink()
    part = open_bundle(with_file.path, part=True)
    assert part.manifest.tables == {}
    assert "affine8+zstd" in codec_names(part.manifest, 1)


def test_tables_for_another_network_are_refused(tmp_path: Path) -> None:
    write_tables(tmp_path / "codecs.npz", MANIFEST.tables)
    with pytest.raises(BundleError, match="holds no tables for codecs .*4 channels|5 channels"):
        read_tables(tmp_path / "codecs.npz", {FEATURE_CUT: ((5, 6), (8,))})
    with pytest.raises(BundleError, match="holds no tables for codecs"):
        read_tables(tmp_path / "codecs.npz", {})


@pytest.mark.parametrize(
    "arrays",
    [
        {"1.0.axis": np.uint8(9)},
        {"1.0.axis": np.uint8(0)},
        {"what": np.zeros(3)},
        {"1.affine8.dictionary": np.zeros(3)},
        {"1.0.axis": np.array(["a"], object)},
    ],
)
def test_a_malformed_file_is_refused(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    np.savez(tmp_path / "codecs.npz", **arrays)
    with pytest.raises(BundleError, match="holds no tables for codecs"):
        read_tables(tmp_path / "codecs.npz", SHAPES)


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    tables = MANIFEST.tables[FEATURE_CUT]
    tables.tensors[0].counts_CL[0, 0] -= 1
    try:
        write_tables(tmp_path / "codecs.npz", MANIFEST.tables)
    finally:
        tables.tensors[0].counts_CL[0, 0] += 1
    with pytest.raises(BundleError, match="do not add up to 32768"):
        read_tables(tmp_path / "codecs.npz", SHAPES)


def test_a_file_that_grows_without_end_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "codecs.npz", **{"1.affine8.dictionary": np.zeros(MAX_TABLES, np.uint8)})
    with pytest.raises(BundleError, match="unpacks to"):
        read_tables(tmp_path / "codecs.npz", SHAPES)


CODED = with_code(a_manifest_sending(a_tensor(8)), 6, 4, 2)
CODE_SHAPES = {"slim": ((6, 4, 2),)}


def test_a_probe_that_was_written_chooses_as_the_one_that_was_made(tmp_path: Path) -> None:
    write_tables(tmp_path / "codecs.npz", CODED.tables)
    again = replace(CODED, tables=read_tables(tmp_path / "codecs.npz", CODE_SHAPES))
    codecs = [open_codec("slim/affine4:sure7+range", manifest, FEATURE_CUT) for manifest in (CODED, again)]
    codes = [noise_of(CODED.crossing(FEATURE_CUT, "slim"), seed=seed) for seed in range(20)]
    made, read = ([codec.encode(code) for code in codes] for codec in codecs)
    assert made == read
    assert {payload[0] for payload in made} == {0, 1}


@pytest.mark.parametrize(
    ("what", "array", "message"),
    [
        ("channels", np.array([3, 7], "<u2"), "3, 7. channels where a code has 6"),
        ("channels", np.array([4, 4], "<u2"), "4, 4. channels"),
        ("channels", np.array([6], "<u2"), "6. channels"),
        ("channels", np.array([[3, 6]], "<u2"), "channels where a code has 6"),
        ("weight", np.zeros((47, 3), "<f4"), "48 values"),
        ("weight", np.full((48, 3), np.nan, "<f4"), "not finite"),
        ("scale", np.zeros(3, "<f4"), "2 numbers"),
        ("bias", np.zeros((2, 4), "<f4"), "2 numbers"),
        ("bias", np.zeros((2, 3)), "float64"),
    ],
)
def test_a_probe_of_another_code_is_refused(what: str, array: np.ndarray, message: str, tmp_path: Path) -> None:
    place = tmp_path / "codecs.npz"
    write_tables(place, CODED.tables)
    with np.load(place) as arrays:
        found = {name: arrays[name] for name in arrays}
    np.savez(place, **{**found, f"slim.probe.{what}": array})
    with pytest.raises(BundleError, match=message):
        read_tables(place, CODE_SHAPES)
