"""A sample on its way, and what was said about it so far."""

import math
import threading
from dataclasses import dataclass, field

from offramp.exits.policy import NO_STATE, State
from offramp.records import Answer, Feature, Sample
from offramp.runtime.runtime import SegmentOutputs
from offramp.units import Bytes, Seconds
from offramp_device.route import Route
from offramp_device.uplink import Uplink


@dataclass(slots=True)
class Said:
    """What somebody on the device said about one sample."""

    cut: int
    outputs: SegmentOutputs
    label: int | None = None
    """What the exit policy answers in its stead; None: what the logits say."""


@dataclass(slots=True, eq=False)
class Flight:
    """A sample on its way through one route, from the moment it has left the device's stages."""

    sample: Sample
    route: Route
    uplink: Uplink
    began: Seconds
    """When its first stage began."""
    deepest: Said | None = None
    """The deepest branch that was asked, unsure as it was."""
    state: State = NO_STATE
    """Of the exit policy: what it knew of the stream, and saw of this sample."""
    feature: Feature = ()
    payload: bytes = b""
    alive: bytes = b""
    """Which classes are not excluded, for the edge; empty: all, or the plan does not send it."""
    head: Seconds = Seconds(0.0)
    """Seconds in stages and branches; `encode` and `away` likewise."""
    encode: Seconds = Seconds(0.0)
    sent: Seconds = Seconds(0.0)
    """When the uplink took it; 0 when it was never sent."""
    due: Seconds = Seconds(math.inf)
    """When the answer of the edge is given up, so that the device can still answer in time."""
    deadline: Seconds = Seconds(math.inf)
    """On the device's clock: after this, no answer counts."""
    wire_bytes: Bytes = Bytes(0)
    """Set by the uplink when it writes; 0 when nothing was written."""


@dataclass(slots=True)
class Waiting:
    """One thread waits here for what another one delivers."""

    _came: threading.Lock = field(default_factory=threading.Lock)
    _outcome: Answer | str = ""

    def __post_init__(self) -> None:
        self._came.acquire()

    def deliver(self, _flight: Flight, outcome: Answer | str) -> None:
        self._outcome = outcome
        self._came.release()

    def answer(self) -> Answer | str:
        self._came.acquire()
        return self._outcome
