"""What plans are made of: bundles with their candidates, and the profiles of the hosts that run them.

hello ── bundle ──► find ──► Shelf ┐
      └─ profile ─► host ──► Host ─┴─► grounds ──► Grounds        alike devices share everything but their strategy
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from offramp.bundle.jsonform import from_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.clock import ManualClock
from offramp.errors import InputError, OfframpError, SettingsError, UnknownBundleError, WireError
from offramp.measure.energy import EnergyModel
from offramp.measure.profile import Profile, segment_name
from offramp.measure.speeds import retimed
from offramp.plan import Plan
from offramp.planning.candidates import Candidates, read_candidates
from offramp.planning.objective import Objective
from offramp.planning.strategies.strategy import Grounds
from offramp.units import Seconds

KEPT = 512
"""Hosts, and grounds, that are remembered; a fleet has a few kinds of boards. One of a demo takes 0.3 MB."""
NO_PLANS: frozenset[Plan] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """One bundle, as far as choosing plans goes."""

    manifest: Manifest
    candidates: Candidates

    @classmethod
    def of(cls, bundle: Bundle) -> "Shelf":
        """
        Raises:
            BundleError: It ships no candidates, so there is nothing to choose from.
        """
        return cls(bundle.manifest, read_candidates(bundle))

    @property
    def digest(self) -> str:
        return self.manifest.model_digest

    @property
    def name(self) -> str:
        return self.manifest.name


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """What a bundle takes on a device or an edge. Those that measured the same are the same object."""

    profile: Profile


class Library:
    """Opened once, asked for ever. Holds no state of any device."""

    def __init__(self, shelves: Sequence[Shelf], energy: EnergyModel | None = None) -> None:
        """
        Raises:
            InputError: There is no bundle, or one is there twice.
        """
        if not shelves:
            raise InputError("there is no bundle to plan for; give at least one with --bundle DIR")
        self._shelves = {shelf.digest: shelf for shelf in shelves}
        if len(self._shelves) < len(shelves):
            raise InputError(f"one of these bundles is given twice: {', '.join(shelf.name for shelf in shelves)}")
        self._energy = energy
        self._clock = ManualClock()
        self._hosts = lru_cache(KEPT)(_read_host)
        self._timed = lru_cache(KEPT)(_time_host)
        self._grounds = lru_cache(KEPT)(self._make_grounds)

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        return tuple(self._shelves.values())

    def find(self, wanted: str) -> Shelf:
        """The bundle with this name or model digest; the first one when nothing is wanted.

        Raises:
            UnknownBundleError: None is called so.
        """
        for digest, shelf in self._shelves.items():
            if wanted in ("", digest, shelf.name):
                return shelf
        names = ", ".join(f"{shelf.name} ({digest[:12]})" for digest, shelf in self._shelves.items())
        raise UnknownBundleError(f"no bundle {wanted[:64]!r} is planned for here; there are: {names}")

    def holds(self, digest: str) -> bool:
        return digest in self._shelves

    def stand_at(self, now: Seconds) -> None:
        """Choices are made at this moment; never an earlier one than before."""
        self._clock.advance(Seconds(max(now - self._clock.now(), 0.0)))

    def accept(self, objective: Objective) -> Objective:
        """
        Raises:
            SettingsError: It looks at energy, and nothing says what boards draw.
        """
        if objective.asks_energy and self._energy is None:
            raise SettingsError(
                f"the objective {str(objective)!r} looks at energy, but nothing says what boards draw; "
                "start the orchestrator with --power and --radio, or leave energy out"
            )
        return objective

    def host(self, raw: bytes, digest: str, *, edge: bool = False) -> Host | None:
        """The profile that a peer sent as JSON; None when it measured nothing, or another bundle.

        An edge has measured tails alone, which is all that it runs.

        Raises:
            WireError: It is no profile, or lacks something that the bundle has.
        """
        if not raw or digest not in self._shelves:
            return None
        host = self._hosts(_Json(raw), self._shelves[digest], edge)
        return host if host.profile.model_digest == digest else None

    def retimed(self, host: Host, speeds: Mapping[str, float]) -> Host:
        """The same host, with what it measured while it served."""
        return self._timed(host, frozenset(speeds.items())) if speeds else host

    def grounds(
        self, shelf: Shelf, device: Host, edge: Host, objective: Objective, without: frozenset[Plan] = NO_PLANS
    ) -> Grounds:
        """Shared by all devices that are alike; `without` leaves some plans out, unless none would be left."""
        return self._grounds(shelf, device, edge, objective, without)

    def _make_grounds(
        self, shelf: Shelf, device: Host, edge: Host, objective: Objective, without: frozenset[Plan]
    ) -> Grounds:
        candidates = shelf.candidates
        if without:
            left = tuple(item for item in candidates.candidates if item.plan() not in without)
            candidates = replace(candidates, candidates=left or candidates.candidates)
        return Grounds(
            manifest=shelf.manifest,
            candidates=candidates,
            device=device.profile,
            edge=edge.profile,
            clock=self._clock,
            objective=objective,
            energy=self._energy,
        )


class _Json:
    """A text that stands for itself by its digest: the cache remembers no megabytes of hellos."""

    __slots__ = ("_digest", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: bytes | None = raw
        self._digest = sha256(raw).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Json) and self._digest == other._digest

    def take(self) -> bytes:
        """Once."""
        raw, self.raw = self.raw, None
        assert raw is not None, "a profile is read once"
        return raw


def _read_host(text: _Json, shelf: Shelf, edge: bool) -> Host:
    try:
        profile = from_json(Profile, json.loads(text.take()))
    except (ValueError, RecursionError, OfframpError) as error:
        raise WireError(f"what was sent as a profile is none: {error}") from error
    if profile.model_digest == shelf.digest:
        _check(profile, shelf.manifest, tails=edge)
    return Host(profile)


def _time_host(host: Host, speeds: frozenset[tuple[str, float]]) -> Host:
    return Host(retimed(host.profile, dict(speeds)))


def _check(profile: Profile, manifest: Manifest, *, tails: bool) -> None:
    """Whatever flows into plans is there, and is a number."""
    for segment in manifest.segments:
        if tails and (segment.stop < manifest.end or not manifest.cuts[segment.start].split):
            continue
        name = segment_name(segment.start, segment.stop, branch=segment.branch, via=segment.via)
        if name not in profile.segments:
            raise WireError(f"the profile lacks segment {name} of {manifest.name!r}; measure it again")
    if profile.end != manifest.end:
        raise WireError(f"the profile ends at cut {profile.end}, {manifest.name!r} at cut {manifest.end}")
    for costs in (profile.segments, profile.encode, profile.decode):
        for name, cost in costs.items():
            if not all(math.isfinite(value) and value >= 0 for value in (cost.median, cost.p95, cost.expected)):
                raise WireError(f"the profile says {cost} of {name}; times are finite, 0 or more")
