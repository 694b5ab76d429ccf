"""From result lines to the numbers of the table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offramp.records import Answered, Result
from offramp.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo keeps of one result."""

    index: int
    answered: Answered
    label: int | None
    truth: int | None
    confidence: float
    exit: int | None
    latency: Seconds
    payload_bytes: int
    wire_bytes: int
    reason: str
    wait: Seconds = Seconds(0.0)
    """From its arrival until its first stage began."""

    @property
    def right(self) -> bool:
        return self.label is not None and self.label == self.truth

    @property
    def place(self) -> str:
        """Where it was answered: `edge`, `@2` for the branch at cut 2 of the device, `degraded` or `rejected`."""
        return f"@{self.exit}" if self.answered is Answered.DEVICE else str(self.answered)


def outcome_of(result: Result) -> Outcome:
    return Outcome(
        index=result.index,
        answered=result.answered,
        label=result.label,
        truth=result.truth,
        confidence=result.confidence,
        exit=result.exit,
        latency=result.latency,
        payload_bytes=result.payload_bytes,
        wire_bytes=result.wire_bytes,
        reason=result.reason,
        wait=result.timings.wait,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a set of frames came to. Latency is that of answered frames, nan where none was."""

    frames: int
    accuracy: float
    """Share of all frames that were answered rightly; a rejected one was not."""
    mean: float
    p50: float
    p95: float
    payload_bytes: float
    """Per frame, sent or not."""
    wire_bytes: float
    """Per frame: what was written to the socket, framing included."""
    shares: Mapping[str, float]
    """By the place of the answer; they add up to 1."""


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """Numbers over at least one outcome."""
    seen = list(outcomes)
    latencies = np.array([float(one.latency) for one in seen if one.answered is not Answered.REJECTED] or [math.nan])
    p50, p95 = np.quantile(latencies, (0.5, 0.95))
    places = [one.place for one in seen]
    return Summary(
        frames=len(seen),
        accuracy=_mean(one.right for one in seen),
        mean=float(latencies.mean()),
        p50=float(p50),
        p95=float(p95),
        payload_bytes=_mean(one.payload_bytes for one in seen),
        wire_bytes=_mean(one.wire_bytes for one in seen),
        shares={place: places.count(place) / len(places) for place in sorted(set(places))},
    )


def by_phase(outcomes: Sequence[Outcome], phases: Sequence[int]) -> dict[int, list[Outcome]]:
    """Outcomes by the phase in which they were due; `phases[i]` is that of frame i."""
    found: dict[int, list[Outcome]] = {phase: [] for phase in sorted(set(phases))}
    for outcome in sorted(outcomes, key=lambda one: one.index):
        found[phases[outcome.index]].append(outcome)
    return found


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(np.fromiter(values, dtype=np.float64)))
