"""A bundle as a value, for where no folder is shared: read on one machine, written and checked on another."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath

from offramp.bundle.store import MANIFEST, Bundle, open_bundle
from offramp.errors import BundleError

Files = dict[str, bytes]


def read_files(bundle: Bundle) -> Files:
    """Everything that its manifest names, and the manifest."""
    return {name: bundle.file(name).read_bytes() for name in (MANIFEST, *bundle.manifest.files)}


def write_files(files: Files, folder: Path) -> Bundle:
    """The bundle again, its digests checked.

    Raises:
        BundleError: A file is missing or differs from its digest.
    """
    for name, content in files.items():
        assert ".." not in PurePosixPath(name).parts, name  # its manifest was checked when it was opened
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return open_bundle(folder)


def unpack(parcels: Iterable[Files], root: Path) -> list[Bundle]:
    """Bundles below `root`, each in a folder of its own; one that lies there already is not written again.

    Several processes may do so at the same time.

    Raises:
        BundleError: A file is missing or differs from its digest.
    """
    return [_unpack(files, root) for files in parcels]


def _unpack(files: Files, root: Path) -> Bundle:
    # By the whole manifest: bundles that differ in their candidates alone share a model digest.
    folder = root / sha256(files[MANIFEST]).hexdigest()[:32]
    if folder.is_dir():
        try:
            return open_bundle(folder)
        except BundleError:  # somebody changed it
            shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root, prefix="unpacking-") as fresh:
        write_files(files, Path(fresh, "bundle"))
        with contextlib.suppress(OSError):  # another process was faster
            Path(fresh, "bundle").rename(folder)
    return open_bundle(folder)
