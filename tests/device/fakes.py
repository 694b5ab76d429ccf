"""Stand-ins that run on a ManualClock: segments that take a stated time, and an uplink that does as it is told.

A sample says itself what every branch will say about it: data[0, 0] = (label, confidence in 1/255, 0).
"""

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import SegmentSpec
from offramp.clock import Clock, ManualClock
from offramp.measure.link import LinkEstimator
from offramp.planning.resolve import resolve
from offramp.records import Answer, EdgeTimings, Feature, Result, Revision, Sample
from offramp.runtime.runtime import SegmentOutputs
from offramp.units import Seconds
from offramp_device.admission import Ledger
from offramp_device.flight import Flight
from offramp_device.pipeline import Pipeline
from offramp_device.route import Route, RouteOpener
from offramp_device.uplink import Deliver, Uplink
from tests.support.manifests import a_manifest

STAGE = Seconds(0.010)
"""Seconds that a stage takes; a branch takes nothing."""
CLASSES = 5


def a_sample(
    index: int = 0, *, label: int = 1, confidence: float = 0.5, arrival: float = 0.0, truth: int | None = None
) -> Sample:
    data = np.zeros((16, 16, 3), np.uint8)
    data[0, 0] = (label, round(255 * confidence), 0)
    return Sample(stream="test", index=index, data=data, arrival=Seconds(arrival), truth=truth)


class FakeSegment:
    def __init__(self, spec: SegmentSpec, manifest: Manifest, clock: Clock, stage: float) -> None:
        self.spec = spec
        self._manifest = manifest
        self._clock = clock
        self._seconds = Seconds((spec.stop - spec.start) * stage)

    def run(self, feature: Feature) -> SegmentOutputs:
        self._clock.sleep(self._seconds)
        label, confidence = np.asarray(feature[0]).reshape(-1)[:2]
        outputs = SegmentOutputs(())
        if self.spec.stop < self._manifest.end:
            tensor = np.zeros((1, *self._manifest.left_by(self.spec)[0].shape), np.float32)
            tensor.reshape(-1)[:2] = (label, confidence)
            outputs.feature = (tensor,)
        if self.spec.branch or self.spec.stop == self._manifest.end:
            outputs.logits_NK = np.eye(CLASSES, dtype=np.float32)[[int(label)]]
            outputs.scores_NS = np.full((1, 4), confidence / 255, np.float32)
        return outputs


class FakeRuntime:
    """Notes what was run: an unasked segment must not be."""

    def __init__(self, manifest: Manifest, clock: Clock, *, stage: float = STAGE) -> None:
        self.opened: list[tuple[int, int, bool]] = []
        self._manifest = manifest
        self._clock = clock
        self._stage = stage

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> FakeSegment:
        self.opened.append((start, stop, branch))
        spec = self._manifest.segment(start, stop, branch=branch, via=via)
        return FakeSegment(spec, self._manifest, self._clock, self._stage)

    def close(self) -> None: ...


class ScriptedUplink:
    """Accepts what its ledger admits; answers, is late, or breaks when the test says so."""

    def __init__(self, clock: Clock, *, ready: bool = True) -> None:
        self.ready = ready
        self.ledger: Ledger[tuple[Flight, Deliver]] = Ledger(LinkEstimator())
        self.numbers: list[int] = []
        self.flights: list[Flight] = []
        self._clock = clock

    def prepare(self, route: Route, patience: Seconds) -> None: ...

    def unready(self, route: Route) -> str:
        return "" if self.ready else "no edge"

    def send(self, flight: Flight, deliver: Deliver) -> str:
        if not self.ready:
            return "no edge"
        nbytes = len(flight.payload)
        if reason := self.ledger.refusal(nbytes, flight.due, self._clock.now()):
            return reason
        flight.wire_bytes = nbytes  # type: ignore[assignment]
        self.flights.append(flight)
        self.numbers.append(self.ledger.enter((flight, deliver), nbytes, flight.due, self._clock.now()))
        return ""

    def close(self) -> None: ...

    def answer(self, number: int, label: int = 2) -> None:
        passenger = self.ledger.settle(number, Seconds(0.0), self._clock.now())
        if passenger is not None:
            flight, deliver = passenger
            deliver(flight, an_answer(label))

    def expire(self) -> None:
        for flight, deliver in self.ledger.expire(self._clock.now()):
            deliver(flight, "no answer in time")

    def lose(self) -> None:
        for flight, deliver in self.ledger.abandon():
            deliver(flight, "the link broke")


def an_answer(label: int = 2, *, classes: int = CLASSES, cut: int | None = None) -> Answer:
    logits_K = 4 * np.eye(classes, dtype=np.float32)[label]
    return Answer(logits=logits_K, timings=EdgeTimings(compute=Seconds(0.001)), exit=cut)


def a_route(
    text: str, clock: Clock, *, manifest: Manifest | None = None, counter: int = 0, stage: float = STAGE
) -> Route:
    manifest = manifest or a_manifest()
    plan = resolve(text, manifest, Revision(0, counter))
    return RouteOpener(manifest, FakeRuntime(manifest, clock, stage=stage), clock).open(plan)


def a_pipeline(
    text: str, uplink: Uplink, clock: ManualClock, *, deadline: float = 1.0, manifest: Manifest | None = None
) -> Pipeline:
    return Pipeline(a_route(text, clock, manifest=manifest), uplink, clock, deadline=Seconds(deadline))


def start(pipeline: Pipeline, sample: Sample) -> Flight:
    """A sample that is known to go as far as the payload."""
    outcome = pipeline.start(sample)
    assert isinstance(outcome, Flight), outcome
    return outcome


def ended(outcome: Result | Flight | None) -> Result:
    """One that is known to have its Result."""
    assert isinstance(outcome, Result), outcome
    return outcome
