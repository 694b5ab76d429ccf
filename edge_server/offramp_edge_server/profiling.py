"""What the bundles of an edge take here, measured once at its start: tails and decoding alone, in a few rounds.

The rounds are few because reports correct them: from the first request on, the edge tells the paces that it has.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from offramp.bundle.jsonform import to_json
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.codecs.usual import candidate_codecs
from offramp.errors import BundleError, InputError
from offramp.measure.profile import (
    NEVER,
    PAUSE,
    WARM_UP,
    Cost,
    Profile,
    cost_of,
    describe_host,
    open_installed,
    read_profile,
    segment_name,
)
from offramp.plan import via_of
from offramp.planning.candidates import read_candidates
from offramp.records import Feature
from offramp.runtime.runtime import Runtime
from offramp.units import Seconds

ROUNDS = 5


def measure_tails(
    bundle: Bundle, runtime: Runtime, clock: Clock, *, threads: int, rounds: int = ROUNDS, pause: Seconds = PAUSE
) -> Profile:
    """Time each tail, and the decoding of what candidates send to it, at batch 1.

    Raises:
        BundleError: The bundle ships no samples to take times with.
    """
    manifest = bundle.manifest
    samples, _ = bundle.reference()
    sample: Feature = (samples[:1],)
    segments: dict[str, Cost] = {}
    decode: dict[str, Cost] = {}
    for (split, via), names in _codecs(bundle).items():
        # One split after the other, so that no more sessions are open than serving needs.
        feature = runtime.open(0, split, branch=False, via=via).run(sample).feature if split else sample
        tail = runtime.open(split, manifest.end, branch=False, via=via)
        codecs = open_installed(names, manifest, split)
        payloads = {name: codec.encode(feature) for name, codec in codecs.items()}
        times: dict[str, list[float]] = {name: [] for name in ("", *codecs)}
        for number in range(WARM_UP + rounds):
            clock.sleep(pause)
            before = clock.now()
            tail.run(feature)
            took = {"": clock.now() - before}
            for name, codec in codecs.items():
                before = clock.now()
                codec.decode(payloads[name])
                took[name] = clock.now() - before
            if number >= WARM_UP:
                for name, seconds in took.items():
                    times[name].append(seconds)
        segments[segment_name(split, manifest.end, branch=False, via=via)] = cost_of(times[""])
        decode |= {f"{split}:{name}": cost_of(times[name]) if name in codecs else NEVER for name in names}
    return Profile(
        model_digest=manifest.model_digest,
        host=describe_host(),
        threads=threads,
        slowdown=1.0,
        end=manifest.end,
        segments=segments,
        encode={},
        decode=decode,
    )


def profile_bytes(profile: Profile) -> bytes:
    """As a hello carries it."""
    return json.dumps(to_json(profile), separators=(",", ":")).encode()


def read_profiles(paths: Iterable[Path], bundles: Iterable[Bundle]) -> dict[str, Profile]:
    """Profiles from files, by model digest.

    Raises:
        BundleError: A file holds no profile.
        InputError: It is of a bundle that is not served here.
    """
    served = {bundle.manifest.model_digest for bundle in bundles}
    found = {}
    for path in paths:
        profile = read_profile(path)
        if profile.model_digest not in served:
            raise InputError(
                f"{path} is a profile of the model {profile.model_digest[:12]}, which is not served here; "
                f"leave it out, or measure one with `offramp profile`"
            )
        found[profile.model_digest] = profile
    return found


def _codecs(bundle: Bundle) -> dict[tuple[int, str], list[str]]:
    """By split and bottleneck: what candidates send there; what they could send, where the bundle ships none."""
    manifest = bundle.manifest
    try:
        sent = sorted({(one.split, codec) for one in read_candidates(bundle).candidates for codec in one.codecs})
    except BundleError:
        sent = [(split, codec) for split, names in candidate_codecs(manifest).items() for codec in names]
    found: dict[tuple[int, str], list[str]] = {(split, ""): [] for split in manifest.splits[:-1]}
    found |= {(spec.cut, spec.name): [] for spec in manifest.bottlenecks}
    for split, codec in sent:
        if split < manifest.end:
            found[split, via_of(codec)].append(codec)
    return found
