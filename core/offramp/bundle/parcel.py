"""A bundle as a value, for where no folder is shared: read on one machine, written and checked on another."""

from pathlib import Path, PurePosixPath

from offramp.bundle.store import MANIFEST, Bundle, open_bundle

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
