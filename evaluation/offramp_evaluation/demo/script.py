"""What the link does while a run lasts, and which frame belongs to which phase."""

import math
from dataclasses import dataclass

from offramp.errors import SettingsError
from offramp.units import Seconds
from offramp_evaluation.shaper.link import Link, Schedule, parse_link


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of a run over which the link stays as it is."""

    name: str
    link: Link


def _phase(name: str, link: str) -> Phase:
    return Phase(name=name, link=parse_link(link))


PHASES = (
    _phase("20 Mbit/s", "20mbit,5ms"),
    _phase("2 Mbit/s", "2mbit,20ms"),
    _phase("0.5 Mbit/s", "0.5mbit,30ms"),
    _phase("outage", "outage"),
    _phase("20 Mbit/s again", "20mbit,5ms"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Phases of equal length, and how fast frames arrive."""

    seconds: Seconds
    """Of each phase."""
    rate: float
    """Frames per second."""
    phases: tuple[Phase, ...] = PHASES

    def __post_init__(self) -> None:
        if set(map(self.phase_of, range(self.frames))) != set(range(len(self.phases))):
            raise SettingsError(
                f"{self.seconds:g} s at {self.rate:g} frames a second leave a phase empty; give more of either"
            )

    @property
    def duration(self) -> Seconds:
        return Seconds(self.seconds * len(self.phases))

    @property
    def frames(self) -> int:
        return int(self.duration * self.rate)

    @property
    def schedule(self) -> Schedule:
        """What the link does from the moment at which the first frame is due."""
        *before, last = (phase.link for phase in self.phases)
        return Schedule(steps=(*((self.seconds, link) for link in before), (Seconds(math.inf), last)))

    def phase_at(self, elapsed: Seconds) -> int:
        """Index of the phase in force `elapsed` seconds after the first frame was due."""
        return max(0, min(int(elapsed / self.seconds), len(self.phases) - 1))

    def phase_of(self, frame: int) -> int:
        """Index of the phase in which a frame is due."""
        return self.phase_at(Seconds(frame / self.rate))
