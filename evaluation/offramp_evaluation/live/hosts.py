"""What this machine takes for a bundle, as a board that it emulates and as an edge."""

from collections.abc import Mapping
from dataclasses import dataclass

from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.errors import SettingsError
from offramp.measure.profile import Profile, measure_profile
from offramp.runtime.board import effort_of
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.threads import configure_threads
from offramp.units import format_seconds

THREADS = 1
"""Of a model call, at both ends: they share this machine's cores."""
ROUNDS = 10
"""10 s for the demo's segments, with a pause before each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """One machine in two roles, timed at one time."""

    board: Profile
    """By the time computed, which is what an emulated board multiplies."""
    edge: Profile
    """By the time that goes by."""


def measure_hosts(bundle: Bundle, codecs: Mapping[int, list[str]], clock: Clock, *, rounds: int = ROUNDS) -> Hosts:
    """Time the bundle on this machine, with these codecs by split."""
    samples, _ = bundle.reference()
    configure_threads(THREADS)
    with OnnxRuntime(bundle, capacity=len(bundle.manifest.segments)) as kept:
        board, edge = (
            measure_profile(bundle, kept, samples, codecs, threads=THREADS, clock=clock, rounds=rounds, effort=effort)
            for effort in (effort_of(THREADS), None)
        )
    return Hosts(board=board, edge=edge)


def slowdown_for(board: Profile, here: Profile) -> float:
    """How many times slower this machine has to be made to take as long as a board for the whole network.

    Raises:
        SettingsError: It is slower than that already.
    """
    wanted, found = (one.segment(0, one.end).expected for one in (board, here))
    if found > wanted:
        raise SettingsError(
            f"the board takes {format_seconds(wanted)} for the whole network, this machine {format_seconds(found)}, "
            f"and a faster board cannot be emulated; slow it down {found / wanted * board.slowdown:.3g} times or more"
        )
    return wanted / found
