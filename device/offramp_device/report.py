"""What a run says: one JSON line per Result, and the summary at its end.

{"stream":"front","index":7,"answered":"edge","label":3,"label_name":"cat","confidence":0.93,"exit":9, …}

Durations are in seconds, sizes in bytes. What is not known is null.
"""

import json
import math
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

from offramp.records import Answered, EdgeTimings, Result
from offramp.units import format_bytes, format_seconds

KEPT = 1 << 18
"""Latencies kept for the percentiles: the last 262,144 (2 MB); a daemon that runs for months must not grow."""


def result_line(result: Result, labels: Sequence[str], *, logits: bool = False) -> str:
    """One result as JSON, without a line break."""
    timings = result.timings
    record: dict[str, Any] = {
        "stream": result.stream,
        "index": result.index,
        "answered": result.answered.value,
        "label": result.label,
        "label_name": label_name(result.label, labels),
        "confidence": _finite(result.confidence),
        "exit": result.exit,
        "latency": round(result.latency, 7),
        "timings": {
            "wait": round(timings.wait, 7),
            "head": round(timings.head, 7),
            "encode": round(timings.encode, 7),
            "away": round(timings.away, 7),
            "fallback": round(timings.fallback, 7),
            "edge": _edge(timings.edge),
        },
        "payload_bytes": result.payload_bytes,
        "wire_bytes": result.wire_bytes,
        "revision": str(result.revision),
        "reason": result.reason,
        "truth": result.truth,
        "name": result.name,
    }
    if logits:
        record["logits"] = None if result.logits is None else [_finite(float(value)) for value in result.logits]
    return json.dumps(record, ensure_ascii=False)


def label_name(label: int | None, labels: Sequence[str]) -> str | None:
    return None if label is None else labels[label] if label < len(labels) else str(label)


class Summary:
    """Counts that grow with each Result; its memory does not."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()
        self.judged = self.right = 0
        self.payload_bytes = self.wire_bytes = 0
        self._latency_sum = 0.0
        self._latencies = array("d")
        self._next = 0

    def add(self, result: Result) -> None:
        self.answered[result.answered.value] += 1
        self.payload_bytes += result.payload_bytes
        self.wire_bytes += result.wire_bytes
        if result.reason:
            # Numbers in a reason vary; what stays tells the kind. At most a few kinds exist.
            self.reasons[_kind(result.reason)] += 1
        if result.truth is not None:
            self.judged += 1
            self.right += result.label == result.truth
        if result.answered is not Answered.REJECTED:
            if result.exit is not None:
                self.exits[result.exit] += 1
            self._note(result.latency)

    @property
    def samples(self) -> int:
        return sum(self.answered.values())

    @property
    def mean_latency(self) -> float | None:
        """Of the samples that were answered; None when none was."""
        count = self.samples - self.answered[Answered.REJECTED.value]
        return self._latency_sum / count if count else None

    def record(self, *, late: int, connections: int) -> dict[str, Any]:
        """As plain values; latency is that of the samples that were answered."""
        ordered = sorted(self._latencies)
        return {
            "samples": self.samples,
            "answered": {kind.value: self.answered[kind.value] for kind in Answered},
            "exits": {str(cut): self.exits[cut] for cut in sorted(self.exits)},
            "accuracy": self.right / self.judged if self.judged else None,
            "latency": {
                "mean": self.mean_latency,
                "p50": _percentile(ordered, 0.50),
                "p95": _percentile(ordered, 0.95),
            },
            "payload_bytes": self.payload_bytes,
            "wire_bytes": self.wire_bytes,
            "late_answers": late,
            "connections": connections,
            "reasons": dict(self.reasons.most_common(10)),
        }

    def _note(self, latency: float) -> None:
        self._latency_sum += latency
        if len(self._latencies) < KEPT:
            self._latencies.append(latency)
        else:
            self._latencies[self._next] = latency
            self._next = (self._next + 1) % KEPT


def summary_text(record: dict[str, Any], names: Sequence[str]) -> str:
    """The summary for people; `names` are those of the cuts."""
    total = record["samples"]
    lines = [f"{total} samples"]
    for kind, count in record["answered"].items():
        if count:
            lines.append(f"  {kind:9} {count:7}  {count / total:6.1%}")
    if record["exits"]:
        answered_at = (f"{names[int(cut)]} (cut {cut}): {count}" for cut, count in record["exits"].items())
        lines.append("answered at  " + ", ".join(answered_at))
    if record["accuracy"] is not None:
        lines.append(f"accuracy     {record['accuracy']:.2%} of the samples whose truth is known")
    latency = record["latency"]
    if latency["mean"] is not None:
        mean, p50, p95 = (format_seconds(latency[key]) for key in ("mean", "p50", "p95"))
        lines.append(f"latency      mean {mean}, median {p50}, 95 % within {p95}")
    if record["wire_bytes"]:
        payload, wire = format_bytes(record["payload_bytes"]), format_bytes(record["wire_bytes"])
        lines.append(
            f"sent         {wire} ({payload} of payload), {format_bytes(record['wire_bytes'] / total)} a sample"
        )
    if record["connections"] > 1 or record["late_answers"]:
        lines.append(
            f"the link     {record['connections']} connections, {record['late_answers']} answers came too late"
        )
    for reason, count in record["reasons"].items():
        lines.append(f"  {count:7} × {reason}")
    return "\n".join(lines)


def _edge(timings: EdgeTimings | None) -> dict[str, float | int] | None:
    if timings is None:
        return None
    return {
        "queue": round(timings.queue, 7),
        "decode": round(timings.decode, 7),
        "compute": round(timings.compute, 7),
        "batch": timings.batch,
    }


def _kind(reason: str) -> str:
    return "".join("#" if letter.isdigit() else letter for letter in reason)[:120]


def _finite(value: float) -> float | None:
    return round(value, 7) if math.isfinite(value) else None


def _percentile(ordered: list[float], share: float) -> float | None:
    """Linear between neighbours, as numpy has it."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
