"""Fetched bundles: STORE/MODEL_DIGEST/manifest.json, …; each is a bundle, or the part of one that is needed here."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import MANIFEST, REFERENCE, WEIGHTS, Bundle, open_bundle
from offramp.bundle.tables import TABLES
from offramp.errors import BundleError
from offramp.units import Seconds

CANDIDATES = "candidates.json"
CERTIFICATE = "certificate.json"
Part = Callable[[Manifest], set[str]]
"""Which files of a bundle are wanted."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TURN = Seconds(0.1)
"""Between two looks whether the lock is free."""


def device_part(manifest: Manifest) -> set[str]:
    """What a device may run: its roads and detours with their weights, what is said of plans, samples to time it with.

    A road begins at the input and goes on behind each branch that it asks. A detour leads from a split without an
    answer to the nearest branch, or to the end of the network; so does one from a bottleneck's code, whose encoders are
    roads. Weights come whole: plans that send nothing, and
    detours, need nearly all of them.
    """
    branches = {branch.cut for branch in manifest.branches}

    def runs(start: int, stop: int, *, branch: bool) -> bool:
        if start == 0 or start in branches:
            return True
        nearest = min((cut for cut in branches if cut > start), default=None)
        return stop == manifest.end or (branch and stop == nearest)

    graphs = {
        spec.file
        for spec in manifest.segments
        if manifest.ends_via(spec) or runs(spec.start, spec.stop, branch=spec.branch)
    }
    for head in manifest.heads:
        graphs |= {spec.file for spec in head.segments if spec.start in {0, *branches}}
        graphs |= {f"graph/{head.name}/weights.bin"} & set(manifest.files)
    return graphs | ({WEIGHTS, TABLES, CANDIDATES, CERTIFICATE, REFERENCE} & set(manifest.files))


def default_store(environment: Mapping[str, str]) -> Path:
    """Where fetched bundles are kept unless somebody says otherwise, as XDG's base directories have it."""
    cache = environment.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "offramp"


def shelf_place(store: Path, digest: str) -> Path:
    """Where the bundle of this model digest lies, or would.

    Raises:
        BundleError: It is no model digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise BundleError(f"{digest[:80]!r} is no model digest; it has 64 hexadecimal digits")
    return store / digest


def held_digests(store: Path) -> tuple[str, ...]:
    """Model digests of what was fetched to its end, in order."""
    if not store.is_dir():
        return ()
    return tuple(
        sorted(path.name for path in store.iterdir() if _DIGEST.fullmatch(path.name) and (path / MANIFEST).is_file())
    )


def open_held(store: Path, digest: str) -> Bundle:
    """A bundle that was fetched, checked; or the part of it that is there.

    Raises:
        BundleError: It is not there, or a file of it differs from its digest.
    """
    return open_bundle(shelf_place(store, digest), part=True)


def remove_held(store: Path, digest: str) -> None:
    """Remove a bundle that nothing starts to use any more, or what there is of it; what is open goes on working."""
    place = shelf_place(store, digest)
    if not place.is_dir():
        return
    with shelf_lock(store, digest):
        # First the manifest: what is left of a removal that was interrupted is no bundle.
        (place / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(place)


@contextlib.contextmanager
def shelf_lock(store: Path, digest: str, wait: Callable[[Seconds], None] | None = None) -> Iterator[None]:
    """Keep everybody else from changing this bundle of the store: other threads, and other processes.

    The system frees it when its holder dies. `wait` is called while another has it, and may raise.
    """
    store.mkdir(parents=True, exist_ok=True)
    held = os.open(store / f".{digest}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | (fcntl.LOCK_NB if wait else 0))
                break
            except BlockingIOError:
                assert wait is not None
                wait(_TURN)
        yield
    finally:
        os.close(held)
