"""A profile of this machine, for whoever was given none."""

from collections.abc import Mapping
from dataclasses import replace

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.codecs.usual import known_codecs
from offramp.measure.profile import Profile, measure_profile
from offramp.runtime.board import effort_of
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.threads import configure_threads


def profile_here(bundle: Bundle, *, threads: int = 1, slowdown: float = 1.0, rounds: int = 15) -> Profile:
    """Time the bundle's segments, and every codec that a candidate or a catalogue names.

    With a `slowdown`, of an emulated board: by the time computed, which is what such a board multiplies.
    """
    configure_threads(threads)
    samples, _ = bundle.reference()
    effort = effort_of(threads) if slowdown > 1.0 else None

    def measured(part: Bundle, codecs: Mapping[int, list[str]]) -> Profile:
        with OnnxRuntime(part, capacity=len(part.manifest.segments)) as runtime:
            return measure_profile(
                part, runtime, samples, codecs, threads=threads, clock=SystemClock(), rounds=rounds, effort=effort
            )

    profile = measured(bundle, known_codecs(bundle.manifest))
    for head in bundle.manifest.heads:
        part = replace(bundle, manifest=replace(bundle.manifest, segments=head.segments))
        profile = replace(profile, segments={**profile.segments, **measured(part, {}).named_of(head.name).segments})
    return profile.slowed(slowdown) if slowdown > 1.0 else profile
