"""The networks of a scenario file: bundles with their tapes and profiles.

[network]                    or several [[network]], which multiply
bundle = "mine"              a folder, or demo (default), which has the rest with it
tape = "mine.tape"
subset = "test"
device_profile = "board.json"
edge_profile = "edge.json"   both are measured where they are left out, once a sweep
data = "cifar10:PATH"        where the samples behind the tape are; live runs need them
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from offramp.bundle.jsonform import to_json
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import SettingsError
from offramp.measure.profile import Profile, read_profile
from offramp.tape.reader import open_tape
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
from offramp_evaluation.sweep.cell import Network
from offramp_evaluation.sweep.table import Table, text

DEMO, DEMO_DATA = "demo", "camera-digits"


class Profiles(Protocol):
    """Where the profile of this machine comes from."""

    def here(self, bundle: Bundle) -> Profile:
        """Measured once, and the same from then on: a sweep that goes on must find the one that it began with."""
        ...


def read_networks(file: str, content: Any, folder: Path, profiles: Profiles) -> list[Network]:
    """
    Raises:
        SettingsError: A key is wrong, or a file is of another model than its bundle.
        BundleError: A bundle cannot be opened.
        TapeError: A tape cannot be opened.
    """
    tables = content if isinstance(content, list) else [content]
    found = [_network(Table(file, "network", one), folder, profiles) for one in tables]
    if not found:
        raise SettingsError(f"{file}: no [[network]] is left; give one, or leave it out for the demo's")
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise SettingsError(f"{file}: two networks are called {max(names, key=names.count)!r}; give each its name = …")
    return found


def _network(table: Table, folder: Path, profiles: Profiles) -> Network:
    written = table.one("bundle", text, DEMO)
    demo = written == DEMO
    bundle = open_bundle(DEMO_BUNDLE if demo else folder / written)
    digest = bundle.manifest.model_digest
    name = table.one("name", text, bundle.manifest.name)
    tape_at = table.optional("tape", text)
    if tape_at is None and not demo:
        command = f"offramp evaluate record --bundle {written}"
        raise table.wrong("bundle", written, f"it needs its tape = …; record one with `{command}`")
    tape = open_tape(DEMO_TAPE if tape_at is None else folder / tape_at)
    if tape.header.model_digest != digest:
        raise table.wrong("tape", tape_at, f"it is of another model than the bundle {written!r}; record it again")
    subset = table.one("subset", text, "test")
    tape.rows(subset)  # or it says which there are
    # The demo's profile ships with it, so that its record is the same everywhere.
    usual = read_profile(DEMO_PROFILE) if demo else None
    device = _profile(table, "device_profile", folder, digest) or usual or profiles.here(bundle)
    edge = _profile(table, "edge_profile", folder, digest) or usual or profiles.here(bundle)
    data = table.one("data", text, DEMO_DATA) if demo or "data" in table else ""
    table.close()
    return Network(
        name=name,
        bundle=Path(bundle.path),
        tape=tape.path,
        model_digest=digest,
        tape_digest=tape.digest(),
        device=device,
        edge=edge,
        profiles_digest=sha256(json.dumps([to_json(device), to_json(edge)]).encode()).hexdigest(),
        subset=subset,
        data=_beside(data, folder),
    )


def _beside(data: str, folder: Path) -> str:
    """A data set whose path is looked for beside the scenario."""
    kind, colon, path = data.partition(":")
    return f"{kind}:{folder / path}" if colon and (folder / path).exists() else data


def _profile(table: Table, key: str, folder: Path, digest: str) -> Profile | None:
    written = table.optional(key, text)
    if written is None:
        return None
    profile = read_profile(folder / written)
    if profile.model_digest != digest:
        raise table.wrong(key, written, "it is of another model than the bundle; time it again with `offramp profile`")
    return profile
