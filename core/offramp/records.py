"""What enters and what leaves: samples, and exactly one Result for each of them.

    Sample ─► … ─► Result(device | edge | degraded | rejected)

Latency runs from a sample's scheduled arrival to its Result, so waiting for a busy device counts (no coordinated
omission).
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.units import Bytes, Seconds

Array = NDArray[Any]
Feature = tuple[Array, ...]
"""The tensors alive at a cut, each with the batch in dimension 0: what crosses the split."""


class Revision(NamedTuple):
    """Orders plans: the epoch grows whenever an orchestrator starts, the counter with each plan."""

    epoch: int
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


NO_REVISION = Revision(0, 0)
"""The revision of a plan that no orchestrator sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSpec:
    """Cut 0: the raw sample that both ends agree on."""

    kind: str
    """image (uint8 HWC), audio (int16 samples), ecg (float32 window) or array (anything else)."""
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One input, decoded and resized to the shape and dtype that cut 0 of its bundle declares (no batch dimension)."""

    stream: str
    index: int
    data: Array
    arrival: Seconds
    """When it was due, on the device's clock; latency counts from here."""
    truth: int | None = None
    """The index of the right class where the source knows it; never used to answer."""
    name: str = ""
    """Where it came from (a path, say), to find it again."""


class Answered(StrEnum):
    """Who answered, and how."""

    DEVICE = "device"
    """A branch was sure, or the plan runs the whole network on the device."""
    EDGE = "edge"
    """The edge finished the network in time."""
    DEGRADED = "degraded"
    """The edge was late, lost or not worth asking: the deepest local answer, flagged."""
    REJECTED = "rejected"
    """No answer; `reason` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTimings:
    """Seconds that one request spent at the edge, as the edge measured them."""

    queue: Seconds = Seconds(0.0)
    decode: Seconds = Seconds(0.0)
    compute: Seconds = Seconds(0.0)
    batch: int = 1
    """How many requests shared the model call."""

    @property
    def total(self) -> Seconds:
        return Seconds(self.queue + self.decode + self.compute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where a sample's latency went, in seconds; what did not happen is 0."""

    wait: Seconds = Seconds(0.0)
    """From the scheduled arrival to the first stage."""
    head: Seconds = Seconds(0.0)
    """Stages and branches on the device (an emulated board's slowness included)."""
    encode: Seconds = Seconds(0.0)
    away: Seconds = Seconds(0.0)
    """From handing the payload to the uplink to the answer: uplink, edge and downlink."""
    fallback: Seconds = Seconds(0.0)
    """Stages run on the device after the edge was given up."""
    edge: EdgeTimings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the edge says about one request."""

    logits: NDArray[np.float32]
    """[K], or the top k of them when `classes` is given."""
    classes: NDArray[np.int64] | None = None
    """[k] class indices of `logits`, best first, when only the top k were asked for."""
    timings: EdgeTimings = EdgeTimings()
    exit: int | None = None
    """Cut of the branch where it was read; None: at the end of the network."""
    decided: int | None = None
    """How the exit policy labels it; None: by the largest logit."""

    @property
    def label(self) -> int:
        if self.decided is not None:
            return self.decided
        best = int(self.logits.argmax())
        return best if self.classes is None else int(self.classes[best])


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The one answer to one sample."""

    stream: str
    index: int
    answered: Answered
    label: int | None = None
    """Class index; None exactly when the sample was rejected."""
    confidence: float = math.nan
    """Calibrated probability of the label."""
    exit: int | None = None
    """The cut where the answer was read: a branch's cut, or n for the end of the network."""
    revision: Revision = NO_REVISION
    latency: Seconds = Seconds(0.0)
    timings: Timings = field(default_factory=Timings)
    payload_bytes: Bytes = Bytes(0)
    wire_bytes: Bytes = Bytes(0)
    """Bytes written for this sample's request, framing included."""
    reason: str = ""
    """Why it was degraded or rejected."""
    logits: NDArray[np.float32] | None = None
    truth: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if (self.label is None) is not (self.answered is Answered.REJECTED):
            raise ValueError(f"a {self.answered} result cannot carry label {self.label}: only a rejected one has none")
