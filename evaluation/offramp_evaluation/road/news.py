"""What a planned device says beside its results: the plan in force, and what it believes about the link."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offramp.units import BitsPerSecond, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlan:
    """From now on this plan is in force."""

    plan: str
    revision: str
    predicted: Seconds | None
    """Mean latency that whoever chose it expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """Once a second; None is not known."""

    bandwidth: BitsPerSecond | None
    round_trip: Seconds | None
    predicted: Seconds | None
    measured: Seconds | None
    """Mean latency of the second before."""


News = NewPlan | Believed


def read_news(line: Mapping[str, Any]) -> News | None:
    """None of a line that is neither."""
    match line.get("event"):
        case "plan":
            return NewPlan(plan=line["plan"], revision=line["revision"], predicted=_seconds(line.get("predicted")))
        case "telemetry":
            bandwidth = line.get("bandwidth")
            return Believed(
                bandwidth=BitsPerSecond(bandwidth) if bandwidth else None,
                round_trip=_seconds(line.get("round_trip")),
                predicted=_seconds(line.get("predicted")),
                measured=_seconds(line.get("latency")),
            )
        case _:
            return None


def _seconds(value: float | None) -> Seconds | None:
    return Seconds(value) if value else None
