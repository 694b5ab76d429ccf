"""The simulated uplink: the deployed ledger and link estimate over a simulated link, with the session's habits.

send ─► ledger ─► link (up) ─► edge ─► link (down) ─► ledger ─► deliver
           └ expiry, silence, reconnection, probes: when and how often is `offramp_device.session`'s word
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from offramp.bundle.manifest import Manifest
from offramp.errors import OfframpError
from offramp.measure.link import LinkEstimate, LinkEstimator
from offramp.records import Answer
from offramp.units import Bytes, Seconds
from offramp.wire.channels import FIRST_BACKOFF, LAST_BACKOFF
from offramp.wire.framing import FRAME_HEADER, GRPC_PREFIX, request_wire_bytes, wire_bytes
from offramp_device.admission import MAX_UNANSWERED, Ledger
from offramp_device.flight import Flight
from offramp_device.route import Route
from offramp_device.stream import PING_BYTES
from offramp_device.uplink import Deliver
from offramp_device.vigil import FIRST_WORD, PROBE_PADDING, SILENCE, WATCH, Vigil
from offramp_evaluation.replay.edge import SimulatedEdge
from offramp_evaluation.replay.hub import Hub
from offramp_evaluation.replay.link import OneWay
from offramp_evaluation.replay.voices import row_of

ANSWER_FIELDS = 24
"""Bytes of an answer beside its logits: id, timings and their tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Between one device and its edge."""

    up: OneWay
    down: OneWay
    edge: SimulatedEdge


def answer_bytes(manifest: Manifest) -> int:
    """What an answer with all logits takes on the way down."""
    return GRPC_PREFIX + FRAME_HEADER + ANSWER_FIELDS + 4 * manifest.cuts[-1].tensors[0].elements


class SimulatedUplink:
    """Follows `offramp_device.uplink.Uplink`; everything happens in events of the hub."""

    def __init__(self, hub: Hub, way: Way, manifest: Manifest, *, until: Seconds) -> None:
        self._hub = hub
        self._way = way
        self._until = until
        self._ledger: Ledger[tuple[Flight, Deliver]] = Ledger(LinkEstimator(), Bytes(MAX_UNANSWERED))
        self._answer_bytes = answer_bytes(manifest)
        self._connected = False
        self._connection = 0
        self._problem = "not connected to the edge yet"
        self._vigil = Vigil()
        self._expiry_at = math.inf
        self.up_seconds: dict[tuple[str, int], Seconds] = {}
        """How long each (stream, index) that came to the edge was on its way there."""

    @property
    def late(self) -> int:
        return self._ledger.late

    @property
    def lost(self) -> bool:
        """No connection: nothing can be sent."""
        return not self._connected

    def estimate(self) -> LinkEstimate | None:
        return self._ledger.link.estimate(self._hub.now())

    def start(self) -> None:
        """Connected from the beginning, as a device is that has been running for a while."""
        self._welcome(self._connection)
        self._watch()

    def prepare(self, route: Route, patience: Seconds) -> None: ...

    def unready(self, route: Route) -> str:  # noqa: ARG002 - a simulated edge opens every plan of its bundle
        return "" if self._connected else self._problem

    def send(self, flight: Flight, deliver: Deliver) -> str:
        if reason := self.unready(flight.route):
            return reason
        nbytes, now = request_wire_bytes(len(flight.payload) + len(flight.alive)), self._hub.now()
        if reason := self._ledger.refusal(nbytes, flight.due, now):
            self._vigil.starved()
            return reason
        flight.wire_bytes = nbytes
        number = self._ledger.enter((flight, deliver), nbytes, flight.due, now)
        connection = self._connection
        self._way.up.carry(nbytes, lambda: self._at_edge(number, flight, connection))
        if flight.due < self._expiry_at:
            self._expiry_at = flight.due
            self._hub.at(flight.due, self._expire)
        return ""

    def close(self) -> None: ...

    def _at_edge(self, number: int, flight: Flight, connection: int) -> None:
        if connection != self._connection:
            return
        plan, sample = flight.route.plan, flight.sample
        self.up_seconds[sample.stream, sample.index] = Seconds(self._hub.now() - flight.sent)

        def done(outcome: Answer | OfframpError) -> None:
            self._way.down.carry(self._answer_bytes, lambda: self._answered(number, outcome, connection))

        # The budget was written into the request when it was sent; no timestamp crosses hosts.
        budget = Seconds(flight.due - flight.sent)
        row, nbytes = row_of(flight.feature), len(flight.payload)
        self._way.edge.submit(plan, row, nbytes, flight.alive, budget, done)

    def _answered(self, number: int, outcome: Answer | OfframpError, connection: int) -> None:
        if connection != self._connection:
            return
        now = self._hub.now()
        self._vigil.heard(now)
        if isinstance(outcome, OfframpError):
            passenger = self._ledger.fail(number)
        else:
            passenger = self._ledger.settle(number, outcome.timings.total, now)
            self._vigil.learned(now)
        if passenger is not None:
            flight, deliver = passenger
            deliver(flight, outcome if isinstance(outcome, Answer) else str(outcome))

    def _expire(self) -> None:
        expired, due = self._ledger.expire(self._hub.now()), self._ledger.next_due
        self._expiry_at = math.inf if due is None else due
        if due is not None:
            self._hub.at(due, self._expire)
        for flight, deliver in expired:
            deliver(flight, "no answer from the edge in time")

    # The life of the connection.

    def _watch(self) -> None:
        now = self._hub.now()
        if now > self._until:
            return
        self._hub.at(now + WATCH, self._watch)
        if not self._connected:
            return
        link = self._ledger.link
        if self._vigil.is_dead(link, now):
            self._lose(f"no edge: it has been silent for {SILENCE:g} s")
        elif (padding := self._vigil.ping(link, now)) is not None:
            self._ping(padding)

    def _ping(self, padding: int, then: Callable[[], None] = lambda: None) -> None:
        nbytes, connection, number = wire_bytes(PING_BYTES + padding), self._connection, self._ledger.number()
        self._ledger.link.sent(number, nbytes, self._hub.now())
        self._round(nbytes, lambda: self._ponged(number, connection, then))

    def _ponged(self, number: int, connection: int, then: Callable[[], None]) -> None:
        if connection == self._connection:
            now = self._hub.now()
            self._ledger.link.answered(number, Seconds(0.0), now)
            self._vigil.heard(now)
            self._vigil.learned(now)
            then()

    def _lose(self, reason: str) -> None:
        self._connected, self._problem = False, reason
        self._connection += 1
        self._way.up.forget()
        for flight, deliver in self._ledger.abandon():
            deliver(flight, reason)
        self._hub.at(self._hub.now() + FIRST_BACKOFF, lambda: self._reconnect(FIRST_BACKOFF))

    def _reconnect(self, pause: Seconds) -> None:
        """A new stream and its first ping; given up when nothing is heard in time, and tried again."""
        if self._hub.now() > self._until:
            return
        self._connection += 1
        connection = self._connection
        self._way.up.forget()
        self._round(wire_bytes(PING_BYTES), lambda: self._welcome(connection))
        self._hub.at(self._hub.now() + FIRST_WORD, lambda: self._give_up(connection, pause))

    def _give_up(self, connection: int, pause: Seconds) -> None:
        if not self._connected and connection == self._connection:
            longer = Seconds(min(2 * pause, LAST_BACKOFF))
            self._hub.at(self._hub.now() + pause, lambda: self._reconnect(longer))

    def _welcome(self, connection: int) -> None:
        if connection == self._connection:
            self._connected, self._problem = True, ""
            now = self._hub.now()
            self._vigil.heard(now)
            self._vigil.learned(now)
            self._ping(0, then=lambda: self._ping(PROBE_PADDING))

    def _round(self, nbytes: int, back: Callable[[], None]) -> None:
        self._way.up.carry(nbytes, lambda: self._way.down.carry(GRPC_PREFIX + FRAME_HEADER + 4, back))
