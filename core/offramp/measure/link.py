"""What a link between a device and an edge can do, learned from the traffic that crosses it anyway.

    sent(s) ──► uplink, first in first out ──► edge, e seconds ──► answer at a

With R the round trip of nothing at all and p the seconds that one bit takes, y = a - e obeys

    the uplink was free:  y - s           = R + bits * p
    it was still busy:    y - y_previous  =     bits * p

Both are linear in (R, p), so one Kalman filter of two numbers learns from either, and knows how sure it is. Delays
have a long tail on one side only: what comes early is believed at once, what comes late when it happens again. Until
then silence speaks: a rate at which the oldest unanswered bytes would be back by now is no longer believed.
"""

from collections import deque
from dataclasses import dataclass
from math import sqrt

from offramp.telemetry import LinkEstimate as LinkEstimate  # noqa: PLC0414 - what an estimator gives
from offramp.units import BitsPerSecond, Bytes, Seconds

FIRST_GUESS = 1e-7
"""Seconds a bit takes before anything was learned: 10 Mbit/s, with no confidence."""
FASTEST = 1e-11
"""Seconds a bit takes at least: 100 Gbit/s, where arithmetic stops making sense."""
JITTER = Seconds(0.3e-3)
"""Standard deviation that is always allowed: what two schedulers and one event loop do on an idle machine."""
FRESH_NOISE = Seconds(1e-3) ** 2
"""The most variance that a new connection begins with."""
RELATIVE_JITTER = 0.01
"""The same, as a share of the time that the bytes take: other traffic is in their way."""
DRIFT_OF_RATE = 0.1
"""How far the rate wanders in a second, relative to itself; steps are found by surprise instead."""
DRIFT_OF_ROUND_TRIP = 0.02
LATE = 3.0
"""Standard deviations past which an answer is late, and held back: it may be one stall."""
LATENESS = 14.0
"""Sum of the standard deviations of two or more late answers in a row that means that the link has changed. Under
exponential jitter, whose tail is the longest that a quiet link shows, chance reached 11 once in 30,000 answers."""
EARLY = 4.5
"""Standard deviations past which an early answer means the same by itself: no stall makes a link faster."""
RESTLESS = 1.25
"""Growth of the noise with an answer that is held back: a link on which many are is noisier than was thought."""
NOISE_WEIGHT = 0.05
"""Weight of the newest in the moving average of what the filter does not explain."""
PACKET_BITS = 12_000.0
"""One Ethernet packet: silence about fewer bits than these says no more about the rate than silence about these."""
PATIENCE = Seconds(10e-3)
"""Silence that means nothing: a busy processor at either end."""
EDGE_WEIGHT = 0.2
"""Weight of the newest in the moving average of the time spent at the edge."""
LONGEST_GAP = Seconds(30.0)
"""Past this, knowledge does not grow older."""


@dataclass(slots=True)
class _Crossing:
    """Bytes that were sent and not answered yet."""

    number: int
    bits: float
    total: float
    """All bits sent up to and including these."""
    sent: float


class LinkEstimator:
    """Learns from each answer in about 10 µs; keeps no more than what is unanswered. Not safe from several threads."""

    def __init__(self) -> None:
        self._round_trip, self._bit = 0.0, FIRST_GUESS
        # Covariance of (R, p): a second, and ten times the first guess.
        self._rr, self._rp, self._pp = 1.0, 0.0, (10 * FIRST_GUESS) ** 2
        self._noise = JITTER**2
        self._edge = 0.0
        self._late, self._lateness = 0, 0.0
        """Late answers in a row, and the sum of their standard deviations."""
        self._changes = 0
        self._crossing: deque[_Crossing] = deque()
        self._total = 0.0
        self._answered_total, self._answered_at = 0.0, -1e9
        """Of the latest sent among the answered: all bits up to it, and y."""
        self._learned_at: float | None = None
        self.unanswered = Bytes(0)

    def sent(self, number: int, nbytes: int, now: Seconds) -> None:
        """`nbytes` went to the uplink; `number` is how the answer will be known."""
        bits = 8.0 * nbytes
        self._total += bits
        self._crossing.append(_Crossing(number, bits, self._total, now))
        self.unanswered = Bytes(self.unanswered + nbytes)

    def answered(self, number: int, edge: Seconds, now: Seconds) -> None:
        """The answer to `number` is here; it spent `edge` seconds at the edge. An unknown number is ignored."""
        crossing = self._take(number)
        if crossing is None:
            return
        self._edge += (edge - self._edge) * (EDGE_WEIGHT if self._edge else 1.0)
        arrived = now - edge
        if crossing.total > self._answered_total:  # else one that was sent later overtook it: it tells nothing new
            if self._answered_at > crossing.sent + self._round_trip:
                bits = crossing.total - self._answered_total
                self._learn(arrived - self._answered_at, 0.0, bits, now)
            else:
                self._learn(arrived - crossing.sent, 1.0, crossing.bits, now)
            self._answered_total, self._answered_at = crossing.total, arrived

    def withdraw(self, number: int) -> None:
        """`number` was not written after all."""
        self._take(number)

    def restart(self) -> None:
        """The connection is gone, and all that was on its way; what was learned is doubted, not forgotten."""
        self._crossing.clear()
        self.unanswered = Bytes(0)
        self._answered_total, self._answered_at = self._total, -1e9
        self._late, self._lateness = 0, 0.0
        self._pp = max(self._pp, (2 * self._bit) ** 2)
        self._rr = max(self._rr, self._round_trip**2)
        # The last that was heard of a dying connection is no measure of the noise on the next.
        self._noise = min(self._noise, FRESH_NOISE)

    def predict(self, nbytes: int, now: Seconds) -> Seconds:
        """How long the answer to `nbytes` would take if they were sent now, behind what is on its way.

        Leans to the pessimistic side: one standard deviation, and what silence says.
        """
        bit = self._usable(now) + sqrt(self._pp)
        through = self._answered_at
        for crossing in self._crossing:
            # Nothing unanswered can have been back before now.
            through = max(max(through, crossing.sent + self._round_trip) + crossing.bits * bit, now - self._edge)
        through = max(through, now + self._round_trip) + 8.0 * nbytes * bit
        return Seconds(through + self._edge - now)

    def estimate(self, now: Seconds) -> LinkEstimate | None:
        """None until something was learned."""
        if self._learned_at is None:
            return None
        deviation, usable = sqrt(self._pp), self._usable(now)
        return LinkEstimate(
            bandwidth=BitsPerSecond(1 / self._bit),
            bandwidth_low=BitsPerSecond(1 / (usable + deviation)),
            bandwidth_high=BitsPerSecond(1 / max(self._bit - deviation, FASTEST)),
            round_trip=Seconds(self._round_trip),
            round_trip_deviation=Seconds(sqrt(self._rr)),
            edge=Seconds(self._edge),
            age=Seconds(now - self._learned_at),
            changes=self._changes,
        )

    @property
    def changes(self) -> int:
        """Steps that were recognised."""
        return self._changes

    def oldest(self) -> Seconds | None:
        """When the oldest unanswered bytes were sent."""
        return Seconds(self._crossing[0].sent) if self._crossing else None

    def _take(self, number: int) -> _Crossing | None:
        for index, crossing in enumerate(self._crossing):  # answers come nearly in order: the first, as a rule
            if crossing.number == number:
                del self._crossing[index]
                self.unanswered = Bytes(self.unanswered - round(crossing.bits / 8))
                return crossing
        return None

    def _usable(self, now: float) -> float:
        """Seconds a bit takes, when the silence about the oldest unanswered bytes is heard too."""
        if not self._crossing:
            return self._bit
        oldest = self._crossing[0]
        bits = max(oldest.total - self._answered_total, PACKET_BITS)
        silence = now - max(self._answered_at, oldest.sent + self._round_trip) - self._edge
        return max(self._bit, (silence - PATIENCE - 2 * sqrt(self._noise)) / bits)

    def _learn(self, waited: float, trips: float, bits: float, now: float) -> None:
        """One step of the filter: `waited` = trips * R + bits * p + noise."""
        self._age(now)
        expected = trips * self._round_trip + bits * self._bit
        noise = max(self._noise, (RELATIVE_JITTER * bits * self._bit) ** 2)
        surprise, variance = waited - expected, self._variance(trips, bits) + noise
        deviations = surprise / sqrt(variance)
        if deviations > LATE:
            self._late, self._lateness = self._late + 1, self._lateness + deviations
            if self._late == 1 or self._lateness < LATENESS:
                self._noise *= RESTLESS
                return
        if -EARLY <= deviations <= LATE:
            # What the filter does not explain by its own uncertainty is noise of the link.
            unexplained = max(surprise * surprise - self._variance(trips, bits), JITTER**2)
            self._noise += NOISE_WEIGHT * (unexplained - self._noise)
        else:
            self._changes += 1
            self._doubt(surprise, trips, bits)
            variance = self._variance(trips, bits) + noise
        self._late, self._lateness = 0, 0.0
        self._correct(surprise, variance, trips, bits)
        if trips:  # no answer is back before its round trip; the mean one has some jitter in it, though
            self._round_trip = min(self._round_trip, max(waited - bits * FASTEST, 0.0) + sqrt(self._noise))
        self._learned_at = now

    def _age(self, now: float) -> None:
        gap = 0.0 if self._learned_at is None else min(max(now - self._learned_at, 0.0), LONGEST_GAP)
        self._pp += gap * (DRIFT_OF_RATE * self._bit) ** 2
        self._rr += gap * (DRIFT_OF_ROUND_TRIP * self._round_trip) ** 2

    def _doubt(self, surprise: float, trips: float, bits: float) -> None:
        """Something changed. Bandwidths change more often than routes: blame the rate if there are bits enough.

        What was known of the other still holds. Payloads of one size tell only R + bits * p; all that this sum has
        changed belongs to the one that is blamed.
        """
        if bits >= PACKET_BITS / 2 or not trips:
            self._pp += (surprise / bits) ** 2
        else:
            self._rr += surprise**2

    def _variance(self, trips: float, bits: float) -> float:
        return trips * trips * self._rr + 2 * trips * bits * self._rp + bits * bits * self._pp

    def _correct(self, surprise: float, variance: float, trips: float, bits: float) -> None:
        shared_r = trips * self._rr + bits * self._rp
        shared_p = trips * self._rp + bits * self._pp
        gain_r, gain_p = shared_r / variance, shared_p / variance
        self._round_trip = max(self._round_trip + gain_r * surprise, 0.0)
        self._bit = max(self._bit + gain_p * surprise, FASTEST)
        self._rr = max(self._rr - gain_r * shared_r, 1e-12)
        self._rp -= gain_r * shared_p
        self._pp = max(self._pp - gain_p * shared_p, 1e-26)
