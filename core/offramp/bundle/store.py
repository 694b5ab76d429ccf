"""Bundles on disk: open (with every digest checked) and write.

    NAME/manifest.json          what a person reads first
    NAME/graph/*.onnx           segments
    NAME/graph/weights.bin      their weights, each once
    NAME/graph/int8/            the segments of another head, and their weights
    NAME/graph/codecs.npz       what codecs know beyond each tensor's range: `offramp.bundle.tables`
    NAME/reference.npz          a few raw samples and what the original module answered, for `offramp bundle verify`

Nothing in a bundle is ever unpickled or evaluated.
"""

import hashlib
import json
import zipfile
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import FileEntry
from offramp.bundle.tables import TABLES, read_tables
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
    missing: frozenset[str] = frozenset()
    """Files that the manifest names and this copy does not hold: a part of a bundle is enough for a device."""

    def file(self, name: str) -> Path:
        """Where a file of the bundle lies.

        Raises:
            BundleError: This copy is a part without it.
        """
        if name in self.missing:
            raise BundleError(
                f"{self.path} is a part of {self.manifest.name!r} without {name}; fetch it again, the whole bundle"
            )
        return self.path / name

    def headed(self, head: str) -> "Bundle":
        """The bundle as it runs with one of its heads; an empty name is its own.

        Raises:
            PlanError: There is none of this name.
        """
        return replace(self, manifest=self.manifest.headed(head))

    def reference(self) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """A few raw samples [N, *shape] and the original module's logits for them [N, K].

        Raises:
            BundleError: The bundle ships none, or a file that is none.
        """
        path = self.path / REFERENCE
        if not path.is_file():
            raise BundleError(f"{self.path} ships no {REFERENCE}; rebuild it to be able to verify it")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return arrays["samples"], arrays["logits"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path} holds no samples and logits ({error}); build the bundle again") from error


def open_bundle(path: str | Path, *, check: bool = True, part: bool = False) -> Bundle:
    """Read the manifest and, unless `check` is off, the digest of every file.

    With `part`, files may be missing: those that are there are checked, the others are the bundle's `missing`.

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
        manifest = read_manifest(location.read_bytes(), str(location))
    except OSError as error:
        raise BundleError(f"{location} cannot be read: {error.strerror or error}") from error
    missing = frozenset(name for name in manifest.files if not (root / name).is_file()) if part else frozenset()
    if check:
        check_files(root, manifest, missing)
    return Bundle(root, _with_tables(root, manifest, missing), missing)


def read_manifest(raw: bytes, place: str) -> Manifest:
    """A manifest from its JSON; `place` is where it is from, for messages.

    Raises:
        BundleError: It is none.
    """
    try:
        return from_json(Manifest, json.loads(raw.decode("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{place} is not JSON ({error}); the bundle is corrupt, fetch or build it again") from error


def check_files(root: Path, manifest: Manifest, missing: Set[str] = frozenset()) -> None:
    """Compare every file but the `missing` ones with its digest, and the model digest with the files'.

    Raises:
        BundleError: A file is missing or differs; the message names it.
    """
    check_manifest(manifest, str(root))
    for name, entry in manifest.files.items():
        if name in missing:
            continue
        path = root / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; the bundle is incomplete, fetch or build it again")
        found = file_entry(path)
        if found != entry:
            raise BundleError(
                f"{path} is corrupt: sha256 {found.sha256[:12]}… ({found.nbytes} bytes) instead of "
                f"{entry.sha256[:12]}… ({entry.nbytes} bytes); fetch or build the bundle again"
            )


def check_manifest(manifest: Manifest, place: str) -> None:
    """Whether a manifest agrees with itself, and names nothing outside of its bundle.

    Raises:
        BundleError: It does not; the message begins with `place`.
    """
    for name in manifest.files:
        pure = PurePosixPath(name)
        plain = pure.as_posix() == name and "\0" not in name
        if not plain or pure.is_absolute() or ".." in pure.parts or name in (".", MANIFEST):
            raise BundleError(f"the manifest of {place} names {name!r}, which lies outside the bundle")
    segments = [*manifest.segments, *(segment for head in manifest.heads for segment in head.segments)]
    unlisted = {segment.file for segment in segments} - set(manifest.files)
    if unlisted:
        raise BundleError(f"the manifest of {place} has no digest for {sorted(unlisted)[0]}")
    if model_digest(manifest) != manifest.model_digest:
        raise BundleError(
            f"the manifest of {place} was edited: its model digest does not match; build the bundle again"
        )


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
    return _with_tables(root, complete)


def _with_tables(root: Path, manifest: Manifest, missing: Set[str] = frozenset()) -> Manifest:
    """The manifest, and what codecs know beyond it where the bundle ships that."""
    if TABLES not in manifest.files or TABLES in missing:
        return manifest
    shapes: dict[int | str, tuple[tuple[int, ...], ...]] = {
        **{index: tuple(spec.shape for spec in cut.tensors) for index, cut in enumerate(manifest.cuts)},
        **{one.name: (one.tensor.shape,) for one in manifest.bottlenecks},
    }
    return replace(manifest, tables=read_tables(root / TABLES, shapes))


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
        **_beside_the_road(manifest),
        "files": {name: entry.sha256 for name, entry in sorted(manifest.files.items()) if name.startswith("graph/")},
    }
    canonical = json.dumps(executed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _beside_the_road(manifest: Manifest) -> dict[str, Any]:
    """Bottlenecks and other heads; nothing where there are none: digests of bundles from before them stay."""
    bottlenecks = [[one.name, one.cut, to_json(one.tensor), one.own_tail] for one in manifest.bottlenecks]
    heads = [[one.name, to_json(one.segments)] for one in manifest.heads]
    return {name: value for name, value in (("bottlenecks", bottlenecks), ("heads", heads)) if value}


def file_entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return FileEntry(sha256=digest.hexdigest(), nbytes=Bytes(path.stat().st_size))
