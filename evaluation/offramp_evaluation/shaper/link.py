"""What an emulated link is, and how a person writes it.

2mbit,20ms                           2 Mbit/s both ways, 20 ms one way: a round trip of 40 ms
2mbit/8mbit,20ms                     2 Mbit/s up (towards the edge), 8 Mbit/s down
20ms                                 a delay alone, at any rate
outage                               nothing moves
5s:20mbit,10ms; 5s:outage; 2mbit     a schedule: 5 s of this, 5 s of that, then the last one for ever
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from offramp.errors import SettingsError
from offramp.units import BitsPerSecond, Seconds, format_rate, format_seconds, parse_rate, parse_seconds

UNLIMITED = BitsPerSecond(math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A pipe of a certain width and length, the same for everybody who shares it."""

    up: BitsPerSecond = UNLIMITED
    """Towards the edge; 0 in an outage."""
    down: BitsPerSecond = UNLIMITED
    delay: Seconds = Seconds(0.0)
    """One way; a round trip takes twice as long."""

    def __post_init__(self) -> None:
        if not (self.up >= 0 and self.down >= 0 and 0 <= self.delay < math.inf):
            raise SettingsError(
                f"a link of {self.up} bit/s up, {self.down} bit/s down and {self.delay} s cannot be; give none below 0"
            )
        if (self.up <= 0) is not (self.down <= 0):
            raise SettingsError("a link that is out is out both ways; write outage, or give both directions a rate")

    @property
    def is_out(self) -> bool:
        return self.up <= 0

    def __str__(self) -> str:
        """The form that `parse_link` reads, exactly."""
        if self.is_out:
            return "outage"
        rates = [] if self.up == self.down == UNLIMITED else [_rate(self.up, self.down)]
        delays = [_exact(self.delay, "s")] if self.delay or not rates else []
        return ",".join(rates + delays)

    def describe(self) -> str:
        """For people: `2.00 Mbit/s, 20.0 ms one way`."""
        if self.is_out:
            return "outage"
        up, down = (format_rate(rate) if rate < UNLIMITED else "any rate" for rate in (self.up, self.down))
        rates = up if up == down else f"{up} up, {down} down"
        return f"{rates}, {format_seconds(self.delay)} one way"


OUTAGE = Link(up=BitsPerSecond(0.0), down=BitsPerSecond(0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Links that follow one another; the last holds for ever."""

    steps: tuple[tuple[Seconds, Link], ...]
    """(how long, link), in order; the last is infinitely long."""

    def __post_init__(self) -> None:
        if not self.steps or self.steps[-1][0] != math.inf:
            raise SettingsError("a schedule of links ends with one that holds for ever: give the last step no duration")
        if any(not 0 < duration < math.inf for duration, _ in self.steps[:-1]):
            raise SettingsError("every step of a schedule but the last lasts a positive, finite time, such as 5s:2mbit")

    def at(self, elapsed: Seconds) -> Link:
        """The link that is in force `elapsed` seconds after the start."""
        return [link for start, link in self.changes() if start <= elapsed][-1]

    def changes(self) -> Iterator[tuple[Seconds, Link]]:
        """(seconds after the start, the link from then on); the first at 0."""
        start = 0.0
        for duration, link in self.steps:
            yield Seconds(start), link
            start += duration

    def __str__(self) -> str:
        return "; ".join(
            str(link) if duration == math.inf else f"{_exact(duration, 's')}:{link}" for duration, link in self.steps
        )


def constant(link: Link) -> Schedule:
    """The one link, for ever."""
    return Schedule(steps=((Seconds(math.inf), link),))


def parse_link(text: str) -> Link:
    """Read `2mbit,20ms`, `2mbit/8mbit,20ms`, `2mbit`, `20ms` or `outage`.

    Raises:
        SettingsError: It is none of these; the message shows the part that is wrong.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == ["outage"]:
        return OUTAGE
    if not 1 <= len(parts) <= 2 or not all(parts):
        raise SettingsError(f"{text!r} is not a link; write rate,delay such as 2mbit,20ms (delay one way), or outage")
    up, down = _parse_rates(parts[0], text) if _is_rate(parts[0]) else (UNLIMITED, UNLIMITED)
    if _is_rate(parts[0]) and len(parts) == 1:
        return Link(up=up, down=down)
    if len(parts) == 2 and not _is_rate(parts[0]):
        raise SettingsError(f"{parts[0]!r} in the link {text!r} is not a rate; the rate comes first: 2mbit,20ms")
    return Link(up=up, down=down, delay=parse_seconds(parts[-1]))


def parse_schedule(text: str) -> Schedule:
    """Read one link, or steps `DURATION:LINK; …; LINK` of which the last holds for ever.

    Raises:
        SettingsError: A step is malformed, has no duration, or the last has one.
    """
    written = [step.strip() for step in text.split(";")]
    steps: list[tuple[Seconds, Link]] = []
    for number, step in enumerate(written, start=1):
        duration, colon, link = step.rpartition(":")
        if colon and number == len(written):
            raise SettingsError(f"{step!r} is the last step and holds for ever; leave out its duration: {link!r}")
        if not colon and number < len(written):
            raise SettingsError(f"{step!r}, step {number} of {len(written)}, has no duration; write it as 5s:{step}")
        steps.append((parse_seconds(duration) if colon else Seconds(math.inf), parse_link(link)))
    return Schedule(steps=tuple(steps))


def _is_rate(part: str) -> bool:
    return "bit" in part.lower()


def _parse_rates(part: str, text: str) -> tuple[BitsPerSecond, BitsPerSecond]:
    # 2mbit/s is one rate, 2mbit/8mbit are two.
    rates = [parse_rate(rate) for rate in part.replace("/s", "").split("/")]
    if len(rates) > 2:
        raise SettingsError(f"{part!r} in the link {text!r} has {len(rates)} rates; give one, or up/down")
    if min(rates) <= 0:
        raise SettingsError(f"{part!r} in the link {text!r} moves nothing; write outage to say so")
    return rates[0], rates[-1]


def _rate(up: BitsPerSecond, down: BitsPerSecond) -> str:
    return _exact(up, "bit") if up == down else f"{_exact(up, 'bit')}/{_exact(down, 'bit')}"


def _exact(value: float, unit: str) -> str:
    return repr(float(value)).removesuffix(".0") + unit
