"""Bundles on disk: open (with every digest checked) and write.

    NAME/manifest.json          what a person reads first
    NAME/graph/*.onnx           segments
    NAME/graph/weights.bin      their weights, each once
    NAME/reference.npz          a few raw samples and what the original module answered, for `offramp bundle verify`

Nothing in a bundle is ever unpickled or evaluated.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import FileEntry, Manifest
from offramp.errors import BundleError
from offramp.units import Bytes

MANIFEST = "manifest.json"
WEIGHTS = "graph/weights.bin"
REFERENCE = "reference.npz"
MAX_MANIFEST = 16 << 20  # 16 MiB: the largest seen is 200 KB; a larger one is not a manifest


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: where it lies and what it says."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        return self.path / name

    def reference(self) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """A few raw samples [N, *shape] and the original module's logits for them [N, K].

        Raises:
            BundleError: The bundle ships none, or a file that is none.
        """
        path = self.file(REFERENCE)
        if not path.is_file():
            raise BundleError(f"{self.path} ships no {REFERENCE}; rebuild it to be able to verify it")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return arrays["samples"], arrays["logits"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path} holds no samples and logits ({error}); build the bundle again") from error


def open_bundle(path: str | Path, *, check: bool = True) -> Bundle:
    """Read the manifest and, unless `check` is off, the digest of every file.

    Raises:
        BundleError: Nothing there, not a bundle, or a file is missing or differs from its digest.
    """
    root = Path(path)
    location = root / MANIFEST
    if not location.is_file():
        what = "holds no" if root.is_dir() else "does not exist, so it has no"
        raise BundleError(f"{root} {what} {MANIFEST}; give the folder that `offramp build` wrote")
    if location.stat().st_size > MAX_MANIFEST:
        raise BundleError(f"{location} is larger than {MAX_MANIFEST} bytes: not a manifest")
    try:
        manifest = from_json(Manifest, json.loads(location.read_text(encoding="utf-8")))
    except OSError as error:
        raise BundleError(f"{location} cannot be read: {error.strerror or error}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"{location} is not JSON ({error}); the bundle is corrupt, fetch or build it again"
        ) from error
    if check:
        check_files(root, manifest)
    return Bundle(root, manifest)


def check_files(root: Path, manifest: Manifest) -> None:
    """Compare every file with its digest, and the model digest with the files'.

    Raises:
        BundleError: A file is missing or differs; the message names it.
    """
    for name, entry in manifest.files.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise BundleError(f"the manifest of {root} names {name!r}, which lies outside the bundle")
        path = root / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; the bundle is incomplete, fetch or build it again")
        found = file_entry(path)
        if found != entry:
            raise BundleError(
                f"{path} is corrupt: sha256 {found.sha256[:12]}… ({found.nbytes} bytes) instead of "
                f"{entry.sha256[:12]}… ({entry.nbytes} bytes); fetch or build the bundle again"
            )
    missing = {segment.file for segment in manifest.segments} - set(manifest.files)
    if missing:
        raise BundleError(f"the manifest of {root} has no digest for {sorted(missing)[0]}")
    if model_digest(manifest) != manifest.model_digest:
        raise BundleError(f"the manifest of {root} was edited: its model digest does not match; build the bundle again")


def write_manifest(root: Path, manifest: Manifest) -> Manifest:
    """Digest every file under `root`, complete the manifest with them and write it. Returns the completed manifest."""
    files = {
        path.relative_to(root).as_posix(): file_entry(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    complete = replace(manifest, files=files, model_digest="")
    complete = replace(complete, model_digest=model_digest(complete))
    (root / MANIFEST).write_text(json.dumps(to_json(complete), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return complete


def model_digest(manifest: Manifest) -> str:
    """sha256, in hexadecimal, over all that both ends execute; provenance and accuracies do not count."""
    executed = {
        "format": manifest.format,
        "sample": to_json(manifest.sample),
        "labels": to_json(manifest.labels),
        "cuts": to_json(manifest.cuts),
        "branches": [[branch.cut, branch.kind, branch.temperature] for branch in manifest.branches],
        "final_temperature": manifest.final_temperature,
        "segments": to_json(manifest.segments),
        "files": {name: entry.sha256 for name, entry in sorted(manifest.files.items()) if name.startswith("graph/")},
    }
    canonical = json.dumps(executed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return FileEntry(sha256=digest.hexdigest(), nbytes=Bytes(path.stat().st_size))
