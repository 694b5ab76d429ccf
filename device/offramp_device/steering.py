"""How a device is kept on its plan: values alone, so that one that nobody steers imports nothing for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.wire.address import Address

if TYPE_CHECKING:
    from offramp.wire.tls import ClientTls

AUTO = "auto"
"""The plan that is none: choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """Who says which plan is followed, and what whoever does has to know of this device."""

    name: str
    """Unique among the devices of an orchestrator."""
    store: Path
    """Where fetched bundles and profiles are kept."""
    orchestrator: Address | None = None
    objective: str = ""
    """Empty: the orchestrator's, or the default."""
    strategy: str
    """By which the device chooses while nobody steers it."""
    profile: Path | None = None
    """Of this board; None: it is measured."""
    shadow: float
    """Share of the samples leaving at a branch that the whole network answers too."""
    chooses: bool = True
    """It chooses by itself while no order has come; else it stays on the plan that it was given."""
    waits: bool = True
    """Not at once, but when the orchestrator was not reached for a while."""
    own_edge: str = ""
    """Address of the edge that it was given, and leaves for no order."""
    threads: int | None = 0
    """Of a model call, 0 for one per core; None leaves the pool of the process as it is."""
    slowdown: float = 1.0
    tls: "ClientTls | None" = None
    """Of orchestrator and edges alike."""
