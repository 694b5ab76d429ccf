"""What the network takes on this board: timed once, quickly, and kept beside the bundles in the store.

candidates ─► the segments and codecs that they run here ─► a few rounds of each ─► Profile ─► STORE/….profile.json
"""

import hashlib
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.shelf import CANDIDATES
from offramp.bundle.specs import SegmentSpec
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.errors import BundleError
from offramp.measure.profile import (
    Cost,
    Profile,
    describe_host,
    measure_profile,
    read_profile,
    segment_name,
    write_profile,
)
from offramp.plan import via_of
from offramp.planning.candidates import Candidates, read_candidates
from offramp.records import Array
from offramp.runtime.board import effort_of


class Board(Protocol):
    """How this board runs, and where its profiles are."""

    @property
    def profile(self) -> Path | None: ...

    @property
    def store(self) -> Path: ...

    @property
    def threads(self) -> int | None: ...

    @property
    def slowdown(self) -> float: ...


ROUNDS = 7
"""Of each segment: enough for a median; what is learned while serving takes over from there."""
OPEN_AT_ONCE = 8
"""Sessions: one of ResNet-18 takes 60 MB, and a board has not many of them."""
NOISE_SAMPLES = 4

_Segment = tuple[int, int, bool, str]
"""(start, stop, branch, via)"""


def board_profile(
    bundle: Bundle,
    candidates: Candidates,
    store: Path,
    clock: Clock,
    *,
    threads: int | None,
    slowdown: float,
    tell: Callable[[str], None],
) -> Profile:
    """The profile of this board with this bundle: the one that was kept, or a new one.

    Raises:
        BundleError: A segment cannot be loaded, or the profile cannot be kept.
    """
    place = store / f"{bundle.manifest.model_digest}.{_kind_of_board(threads, slowdown)}.profile.json"
    if place.is_file():
        try:
            kept = read_profile(place)
            if kept.model_digest == bundle.manifest.model_digest:
                return kept
        except BundleError as error:
            tell(f"{error}; measuring again")
    count = sum(len(needed_segments(candidates.of_head(head))) for head in _heads(candidates))
    tell(f"timing {count} segments of {bundle.manifest.name} on this board, once; kept in {store}")
    profile = _measure(bundle, candidates, clock, threads, slowdown)
    try:
        store.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(".partial")
        write_profile(profile, partial)
        partial.replace(place)
    except OSError as error:
        raise BundleError(f"the profile cannot be kept in {store}: {error.strerror or error}") from error
    return profile


def find_profile(
    bundle: Bundle, board: Board, clock: Clock, tell: Callable[[str], None]
) -> tuple[Candidates | None, Profile | None]:
    """What a bundle can be planned with on this board; nothing when it ships no candidates.

    Raises:
        BundleError: The profile that was given is none, or of another bundle; or none could be measured or kept.
    """
    if CANDIDATES not in bundle.manifest.files:
        tell(f"{bundle.manifest.name} ships no {CANDIDATES}: nothing can be chosen from; plans have to be given")
        return None, None
    candidates = read_candidates(bundle)
    if board.profile is None:
        profile = board_profile(
            bundle, candidates, board.store, clock, threads=board.threads, slowdown=board.slowdown, tell=tell
        )
        return candidates, profile
    profile = read_profile(board.profile)
    if profile.model_digest != bundle.manifest.model_digest:
        raise BundleError(
            f"{board.profile} is a profile of another bundle than {bundle.manifest.name!r}; "
            "measure it with: offramp profile --bundle DIR --out FILE"
        )
    return candidates, profile


def needed_segments(candidates: Candidates) -> Set[_Segment]:
    """All that some candidate runs on the device."""
    needed: set[_Segment] = set()
    for item in candidates.candidates:
        cuts = [0, *item.exit.asked]
        needed |= {(start, stop, True, "") for start, stop in pairwise(cuts)}
        if cuts[-1] != item.split or item.via:
            needed.add((cuts[-1], item.split, False, item.via))
    return needed


def completed(profile: Profile, manifest: Manifest) -> Profile:
    """With every segment of the bundle: those that were not timed take their operations at the pace of the others."""
    known = [(spec, profile.segments.get(_name(_key(spec)))) for spec in manifest.segments]
    timed = [(spec, cost) for spec, cost in known if cost is not None]
    operations = sum(manifest.macs(spec) for spec, _ in timed)
    seconds = sum(cost.expected for _, cost in timed)
    pace = seconds / operations if operations else 0.0
    segments = {
        _name(_key(spec)): cost or Cost(median=pace * manifest.macs(spec), p95=pace * manifest.macs(spec))
        for spec, cost in known
    }
    return replace(profile, segments={**profile.segments, **segments})


def _heads(candidates: Candidates) -> list[str]:
    """The bundle's own, and every other that some candidate runs."""
    return list(dict.fromkeys(["", *(item.head for item in candidates.candidates)]))


def _measure(bundle: Bundle, candidates: Candidates, clock: Clock, threads: int | None, slowdown: float) -> Profile:
    from offramp.runtime.onnx_backend import OnnxRuntime  # takes 0.1 s to import, and nobody else here needs it

    codecs: dict[int, list[str]] = {}
    for item in candidates.candidates:
        names = codecs.setdefault(item.split, [])
        names += [codec for codec in item.codecs if codec != "none" and codec not in names]
    samples = _samples(bundle)
    found: Profile | None = None
    groups = [
        (head, group) for head in _heads(candidates) for group in _groups(needed_segments(candidates.of_head(head)))
    ]
    for head, group in groups:
        manifest = bundle.manifest.headed(head)
        chosen = tuple(spec for spec in manifest.segments if _key(spec) in group)
        reached = {(0, "")} | {(spec.stop, manifest.ends_via(spec)) for spec in chosen}
        part = measure_profile(
            Bundle(bundle.path, replace(manifest, segments=chosen)),
            OnnxRuntime(bundle.headed(head), capacity=OPEN_AT_ONCE + 2),
            samples,
            _taken(codecs, reached),
            threads=threads or 0,
            clock=clock,
            rounds=ROUNDS,
            effort=effort_of(threads) if slowdown > 1 and threads is not None else None,
        )
        part = part.named_of(head)
        found = part if found is None else _joined(found, part)
    assert found is not None  # there is at least one group, if only of nothing
    found = replace(found, host=describe_host())
    return completed(found.slowed(slowdown) if slowdown > 1 else found, bundle.manifest)


def _groups(segments: Set[_Segment]) -> Iterator[Set[_Segment]]:
    """A few at a time, each group with what leads to its start."""
    by_start: dict[int, list[_Segment]] = {}
    for segment in sorted(segments):
        by_start.setdefault(segment[0], []).append(segment)
    if not by_start:
        yield set()
    for start, those in by_start.items():
        way = {(0, start, True, "")} if start else set()
        for first in range(0, len(those), OPEN_AT_ONCE):
            yield way | set(those[first : first + OPEN_AT_ONCE])


def _taken(codecs: dict[int, list[str]], reached: Set[tuple[int, str]]) -> dict[int, list[str]]:
    """Of all codecs those whose feature, or code, is reached; they are taken out."""
    taken = {
        split: [name for name in names if (split, via_of(name)) in reached] for split, names in sorted(codecs.items())
    }
    for split, names in taken.items():
        codecs[split] = [name for name in codecs[split] if name not in names]
    return taken


def _joined(one: Profile, other: Profile) -> Profile:
    return replace(
        one,
        segments={**other.segments, **one.segments},
        encode={**other.encode, **one.encode},
        decode={**other.decode, **one.decode},
    )


def _samples(bundle: Bundle) -> Array:
    """The bundle's own where it brings some: what a picture takes to encode depends on what it shows."""
    try:
        samples, _ = bundle.reference()
    except BundleError:
        spec = bundle.manifest.sample
        noise = np.random.default_rng(0).integers(0, 256, (NOISE_SAMPLES, *spec.shape))
        return noise.astype(spec.dtype)
    return samples


def _kind_of_board(threads: int | None, slowdown: float) -> str:
    """A few letters that stand for this host, run like this."""
    return hashlib.sha256(f"{describe_host()}|{threads}|{slowdown:g}".encode()).hexdigest()[:12]


def _key(spec: SegmentSpec) -> _Segment:
    return spec.start, spec.stop, spec.branch, spec.via


def _name(segment: _Segment) -> str:
    start, stop, branch, via = segment
    return segment_name(start, stop, branch=branch, via=via)
