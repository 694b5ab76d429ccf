"""Shadows: samples that have left at a branch, and are answered by the whole network as well, when nothing else waits.

a sample leaves ─► Result
      └ one in twenty ─► the legs up to the split, one by one ─► the edge, like a request ─┐
                                                  └ or the end of the network, right here ─┴─► both labels ─► trust
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from offramp.clock import Clock
from offramp.records import Answer, Feature, Sample
from offramp.units import Bytes, Seconds
from offramp_device.flight import Flight, Said
from offramp_device.route import Leg
from offramp_device.trust import Trust

MOST = 4
"""Shadows that may wait for a quiet moment; more are let go, for old ones tell nothing that new ones do not."""
PATIENCE = Seconds(1.0)
"""Within which a shadow must be answered; the link refuses one that would take longer, as it does a request."""

PROBED = 0.2
"""Share of the edge's answers that a branch is compared with while nobody may leave."""
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are spread evenly and without a period, which might be that of the stream."""

WhenIdle = Callable[[Callable[[], None]], None]
"""Does the work once no sample waits, or never."""


@dataclass(slots=True)
class _Shadow:
    flight: Flight
    said: Said
    leg: int
    """The next to run."""
    feature: Feature
    stands_for: float
    """So many samples."""


class Shadows:
    """Follows `offramp_device.pipeline.Watched`. Safe from several threads."""

    def __init__(self, trust: Trust, clock: Clock, when_idle: WhenIdle) -> None:
        self._trust = trust
        self._clock = clock
        self._when_idle = when_idle
        self._lock = threading.Lock()
        self._open = 0
        self._wire_bytes = self._answers = 0
        self.probe: Leg | None = None
        """From the input to a branch that is not asked because nobody may leave: its labels are the way back."""

    def take_wire_bytes(self) -> Bytes:
        """Written for shadows since this was asked before; they are in no sample's Result."""
        with self._lock:
            taken, self._wire_bytes = self._wire_bytes, 0
        return Bytes(taken)

    def left(self, flight: Flight, leg: int, feature: Feature) -> None:
        said, stands_for = flight.deepest, self._trust.left()
        if stands_for and said is not None and self._has_room():
            # Later: its Result comes first.
            shadow = _Shadow(flight, said, leg + 1, feature, stands_for)
            self._when_idle(lambda: self._walk(shadow))

    def answered(self, flight: Flight, label: int) -> None:
        if flight.deepest is not None:
            self._compare(flight.deepest, label, 0.0)
            return
        probe = self.probe
        if probe is not None and (self._answers * GOLDEN) % 1.0 < PROBED and self._has_room():
            self._when_idle(lambda: self._ask(probe, flight.sample, label))
        self._answers += 1

    def _has_room(self) -> bool:
        with self._lock:
            if self._open >= MOST:
                return False
            self._open += 1
            return True

    def _walk(self, shadow: _Shadow) -> None:
        """One leg, then let others pass."""
        legs = shadow.flight.route.legs
        if shadow.leg == len(legs):
            self._send(shadow)
            return
        leg = legs[shadow.leg]
        try:
            outputs = leg.segment.run(shadow.feature)
        except BaseException:
            self._close()
            raise
        shadow.leg, shadow.feature = shadow.leg + 1, outputs.feature
        if not shadow.feature:  # the end of the network
            assert outputs.logits_NK is not None
            self._close()
            self._compare(shadow.said, int(outputs.logits_NK[0].argmax()), shadow.stands_for)
            return
        self._when_idle(lambda: self._walk(shadow))

    def _send(self, shadow: _Shadow) -> None:
        before, now = shadow.flight, self._clock.now()
        route, uplink = before.route, before.uplink
        accepted = False
        try:
            if route.codec is None or uplink.unready(route):
                return
            flight = Flight(before.sample, route, uplink, now, feature=shadow.feature)
            flight.payload = route.codec.encode(shadow.feature)
            flight.due = flight.deadline = Seconds(now + PATIENCE)
            accepted = not uplink.send(flight, lambda flight, outcome: self._land(shadow, flight, outcome))
        finally:
            if not accepted:
                self._close()

    def _ask(self, probe: Leg, sample: Sample, label: int) -> None:
        """A branch that the plan does not ask, what it would have said."""
        try:
            outputs = probe.segment.run((sample.data[None],))
        finally:
            self._close()
        self._compare(Said(probe.stop, outputs), label, 0.0)

    def _land(self, shadow: _Shadow, flight: Flight, outcome: Answer | str) -> None:
        with self._lock:
            self._open -= 1
            self._wire_bytes += flight.wire_bytes
        if isinstance(outcome, Answer):
            self._compare(shadow.said, outcome.label, shadow.stands_for)

    def _compare(self, said: Said, label: int, shadowed: float) -> None:
        logits_NK, scores_NS = said.outputs.logits_NK, said.outputs.scores_NS
        assert logits_NK is not None and scores_NS is not None  # noqa: PT018 - a branch says both or nothing
        agrees = int(logits_NK[0].argmax()) == label
        self._trust.label(said.cut, scores_NS, agrees=agrees, shadowed=shadowed)

    def _close(self) -> None:
        with self._lock:
            self._open -= 1
