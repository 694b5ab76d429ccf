"""The results that a device writes, read back."""

import math
from collections.abc import Mapping
from typing import Any

from offramp.errors import WireError
from offramp.records import NO_REVISION, Answered, EdgeTimings, Result, Revision, Timings
from offramp.units import Bytes, Seconds
from offramp_evaluation.road.child import Event


def is_result(line: Event) -> bool:
    """Or it is an event, or the summary."""
    return "index" in line


def read_result(line: Event) -> Result:
    """What `offramp_device.report.result_line` wrote, but for logits.

    Raises:
        WireError: The line is no result.
    """
    try:
        return Result(
            stream=line["stream"],
            index=line["index"],
            answered=Answered(line["answered"]),
            label=line["label"],
            confidence=math.nan if line["confidence"] is None else line["confidence"],
            exit=line["exit"],
            revision=read_revision(line["revision"]),
            latency=Seconds(float(line["latency"])),
            timings=_timings(line["timings"]),
            payload_bytes=Bytes(line["payload_bytes"]),
            wire_bytes=Bytes(line["wire_bytes"]),
            reason=line["reason"],
            truth=line["truth"],
            name=line["name"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise WireError(f"{dict(line)!r} is not a result line of a device: {error!r}") from error


def read_revision(text: str) -> Revision:
    """
    Raises:
        ValueError: It is none.
    """
    epoch, _, counter = text.partition(".")
    found = Revision(int(epoch), int(counter))
    return NO_REVISION if found == NO_REVISION else found


def _timings(line: Mapping[str, Any]) -> Timings:
    edge = line["edge"]
    parts = {name: Seconds(float(line[name])) for name in ("wait", "head", "encode", "away", "fallback")}
    return Timings(**parts, edge=None if edge is None else EdgeTimings(**edge))
