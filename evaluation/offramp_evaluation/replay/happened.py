"""What a run over a scenario leaves, from which the rows of a record are made."""

from dataclasses import dataclass, field

from offramp.plan import Plan
from offramp.planning.forecast import Forecast
from offramp.records import Result, Revision
from offramp.units import Seconds


@dataclass(frozen=True, slots=True)
class Carried:
    """What one direction of the link carried, pings and probes included."""

    nbytes: float = 0.0
    on_air: Seconds = Seconds(0.0)
    """That the link had bytes to carry; of several links, the sum."""


@dataclass(slots=True)
class Happened:
    """What became of a scenario, simulated or live."""

    results: list[Result] = field(default_factory=list)
    """Every sample's, in the order in which they came to be."""
    plans: dict[Revision, Plan] = field(default_factory=dict)
    """By the revision that each Result carries, which no two devices share: those in force, in the order of their
    adoption."""
    edge_seconds: Seconds = Seconds(0.0)
    """That the edge worked."""
    edge_macs: float = 0.0
    """Multiply-accumulates that it executed."""
    late: int = 0
    """Answers that came after their flight was given up."""
    forecasts: dict[Revision, list[Forecast]] = field(default_factory=dict)
    """What was expected at each choice, by the revision that was in force from then on."""
    up: Carried = Carried()
    down: Carried = Carried()
    up_seconds: dict[tuple[str, int], Seconds] = field(default_factory=dict)
    """From the uplink to the edge, for each (stream, index) that came there."""
