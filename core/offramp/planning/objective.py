"""What a person wants of a plan, in one line of text.

minimise=p95, drop=1%, deadline=200ms, hits=95%, energy=0.2j, bytes=2kb
│             │        │               │         │            └ bytes on the wire for an average sample, at most
│             │        │               │         └ joules that an average sample takes on the device, at most
│             │        │               └ share of samples that must be answered within the deadline
│             │        └ when a sample is answered by what the device has, edge or no edge
│             └ accuracy that may be lost against the whole network; or accuracy=92%, whatever the network reaches
└ latency, p95, energy, bytes or edge
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from offramp.errors import SettingsError
from offramp.registry import unknown
from offramp.units import Seconds, parse_bytes, parse_seconds, parse_share


class Goal(StrEnum):
    """What is made small."""

    LATENCY = "latency"
    """Mean seconds from arrival to Result."""
    P95 = "p95"
    """Seconds within which 95 of 100 samples are answered."""
    ENERGY = "energy"
    """Joules of an average sample, on the device."""
    BYTES = "bytes"
    """Bytes on the wire of an average sample."""
    EDGE = "edge"
    """Seconds of the edge that an average sample takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One thing to minimise, subject to the others."""

    minimise: Goal = Goal.LATENCY
    accuracy: float | None = None
    """Least accuracy, in (0, 1]; a candidate's lower confidence bound has to reach it."""
    drop: float | None = 0.01
    """Most accuracy lost against the whole network, in [0, 1); the loss's upper confidence bound must not pass it."""
    deadline: Seconds = Seconds(1.0)
    """A sample that the edge has not answered by then is answered by the device."""
    hits: float = 0.0
    """Least share of samples that are answered within the deadline, in [0, 1)."""
    energy: float | None = None
    """Most joules per sample."""
    bytes: float | None = None
    """Most bytes per sample, on average, framing included."""

    def __post_init__(self) -> None:
        if self.accuracy is not None and not 0.0 < self.accuracy <= 1.0:
            raise SettingsError(f"accuracy={self.accuracy:g} is no share; give one in (0, 1], such as 92%")
        if self.drop is not None and not 0.0 <= self.drop < 1.0:
            raise SettingsError(f"drop={self.drop:g} is no loss of accuracy; give one in [0, 1), such as 1%")
        if not (self.deadline > 0 and math.isfinite(self.deadline)):
            raise SettingsError(f"deadline={self.deadline:g} s leaves no time; give a positive one, such as 200ms")
        if not 0.0 <= self.hits < 1.0:
            raise SettingsError(f"hits={self.hits:g} is no share that can be promised; give one in [0, 1), such as 95%")
        for name, budget in (("energy", self.energy), ("bytes", self.bytes)):
            if budget is not None and not budget >= 0:
                raise SettingsError(f"{name}={budget:g} is no budget; give 0 or more, or leave it out")

    def holds(self, accuracy_low: float, loss_high: float) -> bool:
        """Whether a candidate is accurate enough; judged by its bounds, not by what it happened to reach."""
        enough = self.accuracy is None or accuracy_low >= self.accuracy
        return enough and (self.drop is None or loss_high <= self.drop)

    @property
    def asks_energy(self) -> bool:
        """Whether joules have to be known."""
        return self.minimise is Goal.ENERGY or self.energy is not None

    @property
    def asks_spread(self) -> bool:
        """Whether more than the mean of the latency has to be known."""
        return self.minimise is Goal.P95 or self.hits > 0

    def __str__(self) -> str:
        parts = [f"minimise={self.minimise}"]
        if self.accuracy is not None:
            parts.append(f"accuracy={_percent(self.accuracy)}")
        parts.append("drop=any" if self.drop is None else f"drop={_percent(self.drop)}")
        parts.append(f"deadline={_plain(self.deadline)}s")
        if self.hits:
            parts.append(f"hits={_percent(self.hits)}")
        if self.energy is not None:
            parts.append(f"energy={_plain(self.energy)}j")
        if self.bytes is not None:
            parts.append(f"bytes={_plain(self.bytes)}b")
        return ", ".join(parts)


DEFAULT_OBJECTIVE = Objective()
"""The least mean latency that costs at most one point of accuracy, answers within a second."""


def parse_objective(text: str) -> Objective:
    """Read `minimise=p95, drop=1%, deadline=200ms`; what is not named keeps its default, `drop=any` lifts the limit.

    Raises:
        SettingsError: A field is unknown, repeated, malformed or out of range; the message says which.
    """
    fields: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not value:
            raise SettingsError(f"{part!r} is no part of an objective; write name=value, such as minimise=p95")
        if name not in _READERS:
            raise SettingsError(unknown("part of an objective", name, list(_READERS)))
        if name in fields:
            raise SettingsError(f"the objective gives {name} twice; keep one")
        fields[name] = _READERS[name](value)
    return Objective(**fields)


def _goal(text: str) -> Goal:
    try:
        return Goal(text)
    except ValueError:
        raise SettingsError(unknown("goal", text, [goal.value for goal in Goal])) from None


def _drop(text: str) -> float | None:
    return None if text == "any" else parse_share(text)


def _joules(text: str) -> float:
    number = text.lower().removesuffix("j").strip()
    scale = 1.0
    if number.endswith("m"):
        number, scale = number[:-1], 1e-3
    try:
        return float(number) if scale == 1.0 else float(f"{float(number) * scale:.12g}")
    except ValueError:
        raise SettingsError(f"{text!r} is no energy; write joules, such as 0.2j or 200mj") from None


def _bytes(text: str) -> float:
    return float(parse_bytes(text))


_READERS: dict[str, Callable[[str], Any]] = {
    "minimise": _goal,
    "accuracy": parse_share,
    "drop": _drop,
    "deadline": parse_seconds,
    "hits": parse_share,
    "energy": _joules,
    "bytes": _bytes,
}


def _percent(share: float) -> str:
    text = f"{_plain(float(f'{100 * share:.12g}'))}%"
    return text if parse_share(text) == share else _plain(share)


def _plain(value: float) -> str:
    """As short as reads back to the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
