import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.bundle.specs import FileEntry
from offramp.bundle.store import (
    MANIFEST,
    MAX_MANIFEST,
    REFERENCE,
    WEIGHTS,
    Bundle,
    check_files,
    model_digest,
    open_bundle,
    write_manifest,
)
from offramp.errors import BundleError
from offramp.units import Bytes


@pytest.fixture
def copy(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that the test may spoil."""
    return shutil.copytree(tiny_bundle.path, tmp_path / "copy")


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((root / MANIFEST).read_text())
    change(document)
    (root / MANIFEST).write_text(json.dumps(document))


def test_what_was_written_is_what_opens(tiny_bundle: Bundle) -> None:
    assert open_bundle(tiny_bundle.path) == tiny_bundle


def test_the_reference_holds_samples_and_logits(tiny_bundle: Bundle) -> None:
    samples, logits_NK = tiny_bundle.reference()
    assert samples.shape[1:] == tiny_bundle.manifest.sample.shape
    assert logits_NK.shape == (len(samples), len(tiny_bundle.manifest.labels))


def test_nothing_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere does not exist"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"holds no manifest.json; give the folder"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, "graph/0-2b.onnx", REFERENCE])
def test_one_changed_byte_is_found(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is corrupt: sha256 .* fetch or build the bundle again"):
        open_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"weights.bin is missing; the bundle is incomplete"):
        open_bundle(copy)


def test_unchecked_opening_reads_the_manifest_alone(copy: Path) -> None:
    (copy / WEIGHTS).unlink()
    assert open_bundle(copy, check=False).manifest.name == "tiny"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[]", r"Manifest is \[\], not dict"),
        ("{}", "the key 'format' is missing"),
        (" " * (MAX_MANIFEST + 1), "larger than"),
    ],
)
def test_a_manifest_that_is_none_is_refused(copy: Path, content: str, message: str) -> None:
    (copy / MANIFEST).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match=message):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(format=99), "bundle format 99 is not 1; rebuild it"),
        (lambda manifest: manifest.update(colour="red"), "no key 'colour'"),
        (lambda manifest: manifest.pop("labels"), "the key 'labels' is missing"),
        (lambda manifest: manifest.update(name=3), r"Manifest.name is 3, not str"),
        (lambda manifest: manifest["cuts"][1]["tensors"][0].update(shape=["a"]), r"cuts\[1\].tensors\[0\].shape\[0\]"),
        (lambda manifest: manifest["stages"].pop(), "5 cuts need 4 stages, the manifest has 3"),
        (lambda manifest: manifest["cuts"][1]["tensors"][0].update(high=9.0), "was edited"),
        (lambda manifest: manifest["labels"].reverse(), "was edited"),
        (lambda manifest: manifest["files"].pop("graph/0-1.onnx"), r"no digest for graph/0-1.onnx"),
    ],
)
def test_an_edited_manifest_is_refused(copy: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "graph/../../secret"])
def test_a_manifest_may_not_point_outside_its_bundle(tiny_bundle: Bundle, name: str) -> None:
    entry = FileEntry(sha256="0" * 64, nbytes=Bytes(0))
    manifest = replace(tiny_bundle.manifest, files={**tiny_bundle.manifest.files, name: entry})
    with pytest.raises(BundleError, match="lies outside the bundle"):
        check_files(tiny_bundle.path, manifest)


def test_an_attachment_changes_no_model_digest_but_has_its_own(copy: Path) -> None:
    before = open_bundle(copy).manifest
    (copy / "candidates.json").write_text("[]")
    after = write_manifest(copy, before)
    assert after.model_digest == before.model_digest
    assert set(after.files) - set(before.files) == {"candidates.json"}
    (copy / "candidates.json").write_text("[1]")
    with pytest.raises(BundleError, match=r"candidates.json is corrupt"):
        open_bundle(copy)


def test_how_it_came_to_be_and_how_good_it_is_change_no_model_digest(tiny_bundle: Bundle) -> None:
    told = replace(tiny_bundle.manifest, provenance={"told": "otherwise"}, final_accuracy=0.5, name="another")
    assert model_digest(told) == tiny_bundle.manifest.model_digest


def test_a_temperature_changes_the_model_digest(tiny_bundle: Bundle) -> None:
    assert model_digest(replace(tiny_bundle.manifest, final_temperature=2.0)) != tiny_bundle.manifest.model_digest


def test_a_bundle_without_reference_says_what_to_do(copy: Path) -> None:
    (copy / REFERENCE).unlink()
    with pytest.raises(BundleError, match=r"ships no reference.npz; rebuild it"):
        open_bundle(copy, check=False).reference()


def test_a_pickle_is_never_opened(copy: Path) -> None:
    np.savez(copy / REFERENCE, samples=np.array([{"a": 1}], dtype=object), logits=np.zeros((1, 5)))
    with pytest.raises(BundleError, match="holds no samples and logits"):
        open_bundle(copy, check=False).reference()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip"])
def test_a_reference_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / REFERENCE).write_bytes(content)
    with pytest.raises(BundleError, match="holds no samples and logits"):
        open_bundle(copy, check=False).reference()
