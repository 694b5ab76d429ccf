"""A profile of this machine, for whoever was given none."""

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
    manifest = bundle.manifest
    runtime = OnnxRuntime(bundle, capacity=len(manifest.segments))
    effort = effort_of(threads) if slowdown > 1.0 else None
    profile = measure_profile(
        bundle,
        runtime,
        samples,
        known_codecs(manifest),
        threads=threads,
        clock=SystemClock(),
        rounds=rounds,
        effort=effort,
    )
    return profile.slowed(slowdown) if slowdown > 1.0 else profile
