"""The way a sample goes, on one screen.

    start ──► stage ─► branch? ─► stage ─► branch? … ─► encode ──► Flight ── send ──► edge
                │ sure              │ sure                           │                  │
                ▼                   ▼                                ▼                  ▼
              Result              Result                degrade: Result       finish: Result

The only state is the way in use, a route and an uplink, which `adopt` replaces between two samples, and what a temporal
exit policy remembers of streams. Everything may be called from several threads. What the uplink does meanwhile is its
own affair: here nothing waits, except `infer`.

# K classes
"""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offramp.clock import Clock
from offramp.exits.exclusion import alive_of
from offramp.exits.policy import UNKNOWN, BranchOutputs
from offramp.records import Answer, Answered, EdgeTimings, Feature, Result, Sample, Timings
from offramp.units import Bytes, Seconds, format_seconds
from offramp.wire.convert import alive_to_proto
from offramp_device.flight import Flight, Said, Waiting
from offramp_device.route import Doubt, Route, choose_detour
from offramp_device.streams import Streams
from offramp_device.uplink import Deliver, Uplink

MARGIN, MARGIN_SHARE = Seconds(5e-3), 0.02
"""Kept back for the last steps on the device, at least and as a share of the deadline: threads that have to wake up
while stages compute, a softmax, a Result."""
FEW = 64
"""Classes up to which a softmax in Python is faster than four calls of numpy."""
HEADROOM = (2.5, 1.25)
"""Of a detour's average pace that is kept back for it: its own run, which may be slow, behind another that is under way
(a lost link sends several back at once); where that is too much, its own run alone."""


class Timed(Protocol):
    """Hears what each piece of work took."""

    def note(self, name: str, seconds: float) -> None: ...


class Watched(Protocol):
    """Hears of samples that may tell whether branches still agree with the whole network."""

    def left(self, flight: Flight, leg: int, feature: Feature) -> None:
        """A sample leaves at the end of this leg, with this feature; it gets its Result in a moment."""
        ...

    def answered(self, flight: Flight, label: int) -> None:
        """The edge says this about it: the whole network, or a deep branch that was sure."""
        ...


class Pipeline:
    """Stages, branches, codec; then the uplink, and the answer or what stands in for it."""

    def __init__(
        self, route: Route, uplink: Uplink, clock: Clock, *, deadline: Seconds, keep_logits: bool = False
    ) -> None:
        self.deadline = deadline
        self._way = (route, uplink)
        self._timed: Timed | None = None
        self._watched: Watched | None = None
        self._clock = clock
        self._keep_logits = keep_logits
        self._margin = max(MARGIN, MARGIN_SHARE * deadline)
        self._streams = Streams(route.exits)

    @property
    def route(self) -> Route:
        return self._way[0]

    @property
    def uplink(self) -> Uplink:
        return self._way[1]

    def adopt(self, route: Route, uplink: Uplink | None = None) -> None:
        """Samples that start from now on take this route, and this uplink when one is given.

        Those that are on their way stay on theirs.
        """
        self._way = (route, uplink or self.uplink)
        self._streams.follow(route.exits)

    def report_to(self, timed: Timed, watched: Watched | None = None) -> None:
        """Tell what happens to samples from now on."""
        self._timed, self._watched = timed, watched

    def infer(self, sample: Sample) -> Result:
        """The whole way, waiting for the edge where it is asked."""
        outcome = self.start(sample)
        if isinstance(outcome, Result):
            return outcome
        waiting = Waiting()
        return self.send(outcome, waiting.deliver) or self.land(outcome, waiting.answer())

    def start(self, sample: Sample) -> Result | Flight:
        """Everything up to the payload, or up to the first branch that is sure."""
        (route, uplink), now = self._way, self._clock.now()
        flight = Flight(sample, route, uplink, now, deadline=Seconds(sample.arrival + self.deadline))
        if now > flight.deadline:
            waited = format_seconds(now - sample.arrival)
            return self._reject(flight, f"waited {waited} for its first stage, past the deadline")
        if route.policy.temporal:
            flight.state = self._streams.recall(sample.stream, route.exits)
        feature: Feature = (sample.data[None],)
        timed, place = self._timed, -1
        while (place := place + 1) < len(route.legs):
            leg = route.legs[place]
            if flight.deepest is not None and not leg.answers and (reason := uplink.unready(route)):
                return self.degrade(flight, reason)  # the rest of the way to the split would be in vain
            outputs = leg.segment.run(feature)
            feature, before, now = outputs.feature, now, self._clock.now()
            leg.pace.note(now - before)
            if timed is not None:
                timed.note(leg.name, now - before)
            if leg.answers:
                flight.deepest = Said(leg.stop, outputs)
                if leg.stop == route.manifest.end or self._leaves(flight):
                    flight.head = Seconds(now - flight.began)
                    if self._watched is not None and feature:
                        self._watched.left(flight, place, feature)
                    return self._local(flight, Answered.DEVICE, now)
                if route.doubt is not None and _doubts(route.doubt, flight.deepest):
                    route = flight.route = route.doubt.route
        flight.feature, flight.head = feature, Seconds(now - flight.began)
        if reason := uplink.unready(route):
            return self.degrade(flight, reason)
        assert route.codec is not None  # a route without one ends at n, where its last leg has answered
        flight.payload = route.codec.encode(feature)
        if route.plan.mask:
            alive_NK = alive_of(flight.state)
            flight.alive = b"" if alive_NK is None else alive_to_proto(alive_NK[0])
        flight.encode = Seconds(self._clock.now() - now)
        if timed is not None:
            timed.note(route.encoding, flight.encode)
        flight.due = self._due(flight)
        return flight

    def send(self, flight: Flight, deliver: Deliver) -> Result | None:
        """Hand it to its uplink, which will `deliver`; or, when it refuses, the Result of the device alone."""
        flight.sent = self._clock.now()
        reason = flight.uplink.send(flight, deliver)
        if not reason:
            return None
        flight.sent = Seconds(0.0)
        return self.degrade(flight, reason)

    def land(self, flight: Flight, outcome: Answer | str) -> Result:
        """What the uplink delivered, made into the Result."""
        if isinstance(outcome, str):
            return self.degrade(flight, outcome)
        return self.finish(flight, outcome, self._clock.now())

    def finish(self, flight: Flight, answer: Answer, now: Seconds) -> Result:
        """The edge has answered."""
        if now > flight.deadline:
            return self.degrade(flight, "the answer came too late")
        manifest, logits_K = flight.route.manifest, answer.logits
        if answer.classes is not None or len(logits_K) != flight.route.classes:
            return self.degrade(
                flight, f"the edge answered with {len(logits_K)} logits instead of {flight.route.classes}"
            )
        if answer.exit is not None and answer.exit not in flight.route.plan.tail.asked:
            return self.degrade(flight, f"the edge answered at branch {answer.exit}, which the plan does not ask there")
        cut = manifest.end if answer.exit is None else answer.exit
        label = answer.label
        if not 0 <= label < len(logits_K):
            return self.degrade(flight, f"the edge answered with class {label} of {len(logits_K)}")
        if self._watched is not None:
            self._watched.answered(flight, label)
        return self._result(
            flight,
            Answered.EDGE,
            now,
            label=label,
            confidence=_confidence(logits_K, label, manifest.temperature_at(cut)),
            cut=cut,
            logits_K=logits_K,
            edge=answer.timings,
        )

    def degrade(self, flight: Flight, reason: str) -> Result:
        """No answer from the edge: the deepest branch's, or that of the stages that still fit into the budget."""
        before = now = self._clock.now()
        if flight.deepest is None:
            leg = choose_detour(flight.route, Seconds(flight.deadline - now))
            if leg is None:
                return self._reject(flight, f"{reason}; too little time was left to answer on the device")
            flight.deepest = Said(leg.stop, leg.segment.run(flight.feature))
            now = self._clock.now()
            leg.pace.note(now - before)
        return self._local(flight, Answered.DEGRADED, now, fallback=Seconds(now - before), reason=reason)

    def needs_stages(self, flight: Flight) -> bool:
        """Whether degrading it costs stages, or only the answer that a branch has given already."""
        return flight.deepest is None

    def _leaves(self, flight: Flight) -> bool:
        said = flight.deepest
        assert said is not None
        logits_NK, scores_NS = said.outputs.logits_NK, said.outputs.scores_NS
        assert logits_NK is not None and scores_NS is not None  # noqa: PT018 - a branch says both or nothing
        decision, flight.state = flight.route.policy.decide(BranchOutputs(said.cut, logits_NK, scores_NS), flight.state)
        leaves = bool(decision.leaves_N[0])
        if leaves and decision.label_N is not None:
            said.label = int(decision.label_N[0])
        return leaves

    def _settle(self, flight: Flight, answered: Answered, label: int | None) -> None:
        """What a temporal policy learns from the answer, for the stream's next sample.

        A degraded answer is as good as none: it is flagged, and those of the same scene would be given it unflagged.
        """
        said = label if label is not None and answered is not Answered.DEGRADED else UNKNOWN
        state = flight.route.policy.settle(flight.state, np.array([said]))
        self._streams.settle(flight.sample.stream, flight.route.exits, flight.began, state)

    def _due(self, flight: Flight) -> Seconds:
        reserve = 0.0
        if flight.deepest is None:
            left = flight.deadline - self._clock.now()
            reserves = [room * leg.pace.seconds for room in HEADROOM for leg in reversed(flight.route.detours)]
            # The first that leaves the edge at least half of what is left, else the shortest that fits.
            reserve = next((one for one in reserves if one <= left / 2), min(reserves, default=0.0))
            reserve = reserve if reserve < left else 0.0
        return Seconds(flight.deadline - reserve - self._margin)

    def _local(
        self,
        flight: Flight,
        answered: Answered,
        now: Seconds,
        *,
        fallback: Seconds = Seconds(0.0),
        reason: str = "",
    ) -> Result:
        if now > flight.deadline:
            late = format_seconds(now - flight.deadline)
            return self._reject(flight, f"{reason}; " * bool(reason) + f"the device's answer came {late} too late")
        said = flight.deepest
        assert said is not None
        logits_NK, scores_NS = said.outputs.logits_NK, said.outputs.scores_NS
        assert logits_NK is not None and scores_NS is not None  # noqa: PT018 - somebody has answered
        logits_K, confidence = logits_NK[0], float(scores_NS[0, 0])
        label = says = int(logits_K.argmax())
        if said.label is not None and said.label != says:
            label = said.label
            confidence = _confidence(logits_K, label, flight.route.manifest.temperature_at(said.cut))
        return self._result(
            flight,
            answered,
            now,
            label=label,
            confidence=confidence,
            cut=said.cut,
            logits_K=logits_K,
            fallback=fallback,
            reason=reason,
        )

    def _reject(self, flight: Flight, reason: str) -> Result:
        return self._result(flight, Answered.REJECTED, self._clock.now(), reason=reason)

    def _result(
        self,
        flight: Flight,
        answered: Answered,
        now: Seconds,
        *,
        label: int | None = None,
        confidence: float = math.nan,
        cut: int | None = None,
        logits_K: NDArray[np.float32] | None = None,
        edge: EdgeTimings | None = None,
        fallback: Seconds = Seconds(0.0),
        reason: str = "",
    ) -> Result:
        sample, sent = flight.sample, flight.sent
        if flight.route.policy.temporal and flight.deepest is not None:  # else no branch has seen it
            self._settle(flight, answered, label)
        return Result(
            stream=sample.stream,
            index=sample.index,
            answered=answered,
            label=label,
            confidence=confidence,
            exit=cut,
            revision=flight.route.plan.revision,
            latency=Seconds(now - sample.arrival),
            timings=Timings(
                wait=Seconds(flight.began - sample.arrival),
                head=flight.head,
                encode=flight.encode,
                away=Seconds(now - sent - fallback) if sent else Seconds(0.0),
                fallback=fallback,
                edge=edge,
            ),
            payload_bytes=Bytes(len(flight.payload) + len(flight.alive)) if sent else Bytes(0),
            wire_bytes=flight.wire_bytes,
            reason=reason,
            logits=logits_K if self._keep_logits else None,
            truth=sample.truth,
            name=sample.name,
        )


def _doubts(doubt: Doubt, said: Said) -> bool:
    scores_NS = said.outputs.scores_NS
    assert scores_NS is not None
    # `not >=` doubts nan as well.
    return said.cut == doubt.cut and not scores_NS[0, 0] >= doubt.below


def _confidence(logits_K: NDArray[np.float32], label: int, temperature: float) -> float:
    """The calibrated probability of the label: softmax of the logits over the temperature."""
    if len(logits_K) > FEW:
        return float(1.0 / np.exp((logits_K - logits_K[label]) / temperature).sum())
    values = logits_K.tolist()
    highest = values[label]
    return 1.0 / sum([math.exp((value - highest) / temperature) for value in values])
