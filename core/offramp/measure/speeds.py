"""What segments and codecs take while they serve: a profile grows old, the work itself tells how old.

0-3+branch           a segment of the device     3-8                      a tail of the edge
encode 3:affine8+zstd                            decode 3:affine8+zstd

note, note, note … ─► a running median by name ─► what moved ─► telemetry ─► retimed(profile)
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from offramp.measure.profile import Cost, Profile

STEP = 0.004
"""What one note moves a median, relative to it."""
STREAK = 6
"""Notes in a row that pull the same way by chance, now and then."""
HURRY, LONGEST = 0.02, 0.1
"""Past these, every further one moves it by so much more, up to a limit: a board that throttles to half its speed is
known after 20 to 30 notes, and no stall moves anything."""
FEW = 5
"""Notes before a median is believed: what has just been opened is slow."""
MOVED = 0.05
"""Relative change that is worth being reported."""


class Speeds:
    """Running medians in seconds, by name. From several threads at once a note may be lost, and nothing else."""

    def __init__(self) -> None:
        self._medians: dict[str, _Median] = {}

    def note(self, name: str, seconds: float, requests: int = 1) -> None:
        """One run has taken so long; of a batch, each request has taken its share."""
        known = self._medians.get(name)
        if known is None:
            known = self._medians[name] = _Median()
        known.note(seconds / requests)

    def values(self) -> dict[str, float]:
        """Seconds by name, of what has run often enough."""
        return {name: known.value for name, known in list(self._medians.items()) if known.notes >= FEW}

    def changes(self, since: Mapping[str, float]) -> dict[str, float]:
        """What is new or has moved by more than 5 % since those values: what telemetry reports.

        `reported |= speeds.changes(reported)` keeps both ends the same.
        """
        return {
            name: value
            for name, value in self.values().items()
            if name not in since or abs(value - since[name]) > MOVED * since[name]
        }


def retimed(profile: Profile, speeds: Mapping[str, float]) -> Profile:
    """The profile with what was measured since in the place of what it says.

    What never ran is scaled as the middle one of its kind (segments, encode, decode) that did: a board that throttles
    does so in all of them. A p95 keeps its ratio to the median. Names that the profile lacks are ignored.
    """
    return replace(
        profile,
        segments=_retimed(profile.segments, speeds, ""),
        encode=_retimed(profile.encode, speeds, "encode "),
        decode=_retimed(profile.decode, speeds, "decode "),
    )


def _retimed(costs: Mapping[str, Cost], speeds: Mapping[str, float], prefix: str) -> Mapping[str, Cost]:
    ratios = {
        name: speeds[prefix + name] / cost.median
        for name, cost in costs.items()
        if prefix + name in speeds and cost.median > 0
    }
    if not ratios:
        return costs
    typical = median(ratios.values())
    return {name: cost.times(ratios.get(name, typical)) for name, cost in costs.items()}


class _Median:
    """Takes a step towards each note, not all the way: it rests where as many lie above as below.

    It begins at the true median of the first few: the very first run of anything is slow.
    """

    __slots__ = ("above", "first", "notes", "streak", "value")

    def __init__(self) -> None:
        self.value, self.notes = 0.0, 0
        self.first: list[float] = []
        self.above, self.streak = True, 0
        """Which way the latest notes pulled, and how many in a row."""

    def note(self, seconds: float) -> None:
        self.notes += 1
        if self.notes <= FEW:
            self.first.append(seconds)
            self.value = median(self.first)
            return
        value = self.value
        above = seconds > value
        step = STEP
        if above is self.above:
            self.streak = streak = self.streak + 1
            if streak > STREAK:
                step = min(HURRY * (streak - STREAK), LONGEST)
        elif self.streak > 1:
            self.streak //= 2  # a stall in the middle of a streak does not end it
        else:
            self.above = above
        moved = value * (1 + step) if above else value * (1 - step)
        # Never past the note itself: what always takes the same is known exactly.
        self.value = seconds if (moved > seconds) is above else moved
