"""Which edge a device uses: the least loaded one that serves its bundle, and then the same for as long as it can.

    joins ────────────► where it was, if that one still serves it; else the least loaded
    edge lost ────────► all of its devices at once, spread over those that are left
    edge overloaded ──► some of its devices, and a pause to see what that did

Functions over what a controller knows, and the ledger that they read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from offramp.units import Seconds
from offramp_orchestrator.fleet import Edge

GRAIN = 0.05
"""Loads that differ by less than this share of an edge are one: the number of devices decides."""
SHARE = 0.25
"""Of an overloaded edge's devices, at most so many are moved at a time."""
PAUSE = Seconds(5.0)
"""After that; what was moved shows in the reports of both edges within two seconds, and in prices a little later."""


@dataclass(frozen=True, slots=True)
class Load:
    """Of one edge, by the devices that are assigned to it."""

    seconds: float = 0.0
    """Of its work per second, as predicted."""
    devices: int = 0


NO_LOAD = Load()


class Ledger:
    """Which device puts how much on which edge."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, float]] = {}
        self._loads: dict[str, Load] = {}

    def put(self, device: str, edge: str, seconds: float) -> None:
        """From now on; what it put there or elsewhere before is forgotten."""
        self.remove(device)
        self._entries[device] = (edge, seconds)
        load = self.of(edge)
        self._loads[edge] = Load(load.seconds + seconds, load.devices + 1)

    def remove(self, device: str) -> None:
        if device not in self._entries:
            return
        edge, seconds = self._entries.pop(device)
        load = self._loads.pop(edge)
        if load.devices > 1:  # else exactly nothing is left, whatever rounding says
            self._loads[edge] = Load(load.seconds - seconds, load.devices - 1)

    def of(self, edge: str) -> Load:
        return self._loads.get(edge, NO_LOAD)


def least_loaded(edges: Iterable[Edge], ledger: Ledger, digest: str) -> Edge | None:
    """Among those that serve a bundle; None when none does."""
    serving = [edge for edge in edges if edge.serves(digest)]
    return min(serving, key=lambda edge: _rank(edge, ledger), default=None)


def with_address(edges: Iterable[Edge], address: str) -> Edge | None:
    """The one that is found there."""
    return next((edge for edge in edges if edge.address == address), None) if address else None


def shed(edge: Edge, edges: Iterable[Edge], ledger: Ledger, devices: Sequence[tuple[str, str, float]]) -> list[str]:
    """Names of those that should leave an overloaded edge, heaviest first; none when nobody else has room.

    `devices` are its own: (name, model digest of the bundle, predicted load). So many go as would even the two out, and
    never more than a quarter of them.
    """
    others = [other for other in edges if other.name != edge.name and other.has_room]
    if not others:
        return []
    gap = load_of(edge, ledger) - min(load_of(other, ledger) for other in others)
    leaving: list[str] = []
    moved = 0.0
    for name, digest, load in sorted(devices, key=lambda device: (-device[2], device[0])):
        if len(leaving) >= max(1, int(SHARE * len(devices))) or (leaving and 2 * (moved + load) > gap):
            break
        if any(other.serves(digest) for other in others):
            leaving.append(name)
            moved += load
    return leaving if gap > GRAIN else []


def load_of(edge: Edge, ledger: Ledger) -> float:
    """Share of its time: what is predicted, or what it says it is busy with devices of other controllers too."""
    return max(ledger.of(edge.name).seconds, edge.report.busy)


def _rank(edge: Edge, ledger: Ledger) -> tuple[bool, int, int, str]:
    return edge.overloaded, int(load_of(edge, ledger) / GRAIN), ledger.of(edge.name).devices, edge.name
