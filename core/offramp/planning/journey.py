"""The journey of an average sample under every candidate, in one situation.

A candidate's latency is a mixture: some samples leave at a branch, after a known time; the others wait for the uplink,
cross a link that is known with some uncertainty, and are answered at the deadline if nothing came back.

    leave at exit 1 │ leave at exit 2 │ … │ stay: encode, then over each of three links that this one may be

Means are sums over these; p95 and hits take each of them as normal around its own mean.

# C candidates, E exits
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from offramp.measure.energy import EnergyModel
from offramp.planning.forecast import Parts
from offramp.planning.queueing import FULL, waiting
from offramp.planning.roads import Roads, Times
from offramp.planning.situation import Situation

Floats = NDArray[np.float64]

SLOWEST = 1.0
"""Seconds that a bit takes where there is no link: finite, so that no bits still take no time."""
POINTS = ((0.0, 2 / 3), (-sqrt(3.0), 1 / 6), (sqrt(3.0), 1 / 6))
"""(Standard deviations, weight) of Gauss and Hermite's three-point rule, exact to the fifth power; the mean first."""
SHARPEST = 1e-9
"""The least standard deviation, in seconds: what is certain is a step."""


@dataclass(frozen=True, slots=True)
class _Crossing:
    """Of the uplink, if the link were exactly this fast."""

    weight: float
    transmit_C: Floats
    wait_C: Floats | None
    """None where nobody waits."""
    spent_C: Floats
    """Both together, but for what comes after the deadline."""

    def wait(self) -> Floats:
        return np.zeros(len(self.transmit_C)) if self.wait_C is None else self.wait_C


class Journey:
    """Everything below is [C]; what is not feasible has numbers too, which are then bounded by the deadline."""

    def __init__(self, roads: Roads, times: Times, situation: Situation, deadline: float) -> None:
        self._roads, self._times, self._now, self._deadline = roads, times, situation, deadline
        slow = situation.device_slow
        load_C = times.service_C * (slow * situation.rate)
        self._device_wait_C = self._wait_for_device(load_C)
        self._head_C = times.busy_C * slow
        self._head_C += self._device_wait_C
        """From the arrival to the uplink."""
        # From the uplink's end to the answer: the same for all, and the edge's work.
        self._travel = situation.round_trip + situation.edge_wait
        self._edge_C = times.edge_C * situation.edge_slow
        room_C = (deadline - self._travel) - self._head_C
        room_C -= self._edge_C
        self._room_C: Floats = np.maximum(room_C, 0.0, out=room_C)
        """What the uplink may take, so that the answer is here by the deadline."""
        self._crossings = self._cross()
        self.feasible_C: NDArray[np.bool_] = self._feasible(load_C)
        away_C = self._edge_C + self._travel
        for crossing in self._crossings:
            away_C += crossing.weight * crossing.spent_C
        self._away_C: Floats = away_C
        """Of a sample that is sent, from the uplink to the answer."""
        mean_C = times.encode_C * slow
        mean_C += away_C
        mean_C *= roads.sent_C
        mean_C += self._device_wait_C
        mean_C += times.device_C * slow
        self.mean_C: Floats = mean_C
        self.wire_bytes_C: Floats = roads.wire_bytes_C
        self.edge_seconds_C: Floats = roads.sent_C * self._edge_C

    def latency(self) -> Floats:
        """The mean, infinite where infeasible."""
        return np.where(self.feasible_C, self.mean_C, np.inf)

    def p95(self) -> Floats:
        """Whoever stays to the split takes longest, so it is a quantile of these, unless hardly anybody stays."""
        roads, times, now = self._roads, self._times, self._now
        away_C = self._away_C * roads.goes_C
        stay_C = self._head_C + away_C
        stay_C += roads.sigmas_C * np.sqrt(self._variance(uncertain=True))
        answered_at_C = np.where(roads.goes_C > 0, np.maximum(self._deadline, self._head_C), np.inf)
        early_C = times.early_C * now.device_slow + self._device_wait_C
        p95_C: Floats = np.maximum(np.minimum(stay_C, answered_at_C), early_C)
        return p95_C

    def hits(self) -> Floats:
        """Share answered within the deadline."""
        roads, times, now = self._roads, self._times, self._now
        left_CE = times.exit_CE * now.device_slow + self._device_wait_C[:, None]
        hits_C: Floats = (roads.leave_CE * (left_CE <= self._deadline)).sum(axis=1)
        deviation_C = np.sqrt(self._variance(uncertain=False))
        for crossing in self._crossings:
            away_C = crossing.transmit_C + crossing.wait() + self._edge_C + self._travel
            late_C = (self._deadline - self._head_C - away_C * roads.goes_C) / deviation_C
            hits_C += crossing.weight * roads.end_C * _below(late_C)
        return hits_C

    def joules(self, energy: EnergyModel) -> Floats:
        """On the device, per sample: computing and sending; answers are too small to count."""
        roads, times, slow = self._roads, self._times, self._now.device_slow
        return energy.joules(
            compute=(times.device_C + roads.sent_C * times.encode_C) * slow,
            up_bytes=self.wire_bytes_C,
            up_seconds=roads.sent_C * sum(one.weight * self._transmitting(one) for one in self._crossings),
        )

    def parts(self) -> Parts:
        """Of the only candidate there is."""
        roads, times, now = self._roads, self._times, self._now
        sent = float(roads.sent_C[0])
        moving = sum(one.weight * float(one.spent_C[0]) for one in self._crossings)
        transmit = sum(one.weight * float(self._transmitting(one)[0]) for one in self._crossings)
        return Parts(
            device_wait=float(self._device_wait_C[0]),
            device=float(times.device_C[0]) * now.device_slow,
            encode=sent * float(times.encode_C[0]) * now.device_slow,
            uplink_wait=sent * (moving - transmit),
            transmit=sent * transmit,
            round_trip=sent * now.round_trip,
            edge_wait=sent * now.edge_wait,
            decode=sent * float(times.decode_C[0]) * now.edge_slow,
            tail=sent * float(times.edge_C[0] - times.decode_C[0]) * now.edge_slow,
        )

    def _wait_for_device(self, load_C: Floats) -> Floats:
        now, times = self._now, self._times
        wait_C = np.zeros(len(load_C))
        if now.rate == 0.0:
            return wait_C
        if not now.regular:
            return waiting(load_C, times.service_C * now.device_slow, times.at_random, overload=self._deadline)
        pace = now.rate * now.device_slow
        if times.longest * pace > 1.0:  # else nobody waits: each is done before the next comes
            late = np.flatnonzero(times.longest_C * pace > 1.0)
            service_C = times.service_C[late] * now.device_slow
            wait_C[late] = waiting(load_C[late], service_C, times.in_step.at(late), overload=self._deadline)
        return wait_C

    def _feasible(self, load_C: Floats) -> NDArray[np.bool_]:
        roads, now, likely = self._roads, self._now, self._crossings[0]
        spent_C = likely.transmit_C if likely.wait_C is None else likely.transmit_C + likely.wait_C
        feasible_C = spent_C <= self._room_C
        if likely.wait_C is not None:
            feasible_C &= now.rate * roads.sent_C * likely.transmit_C < FULL
        feasible_C |= roads.silent_C
        feasible_C &= load_C < FULL
        if now.caution:
            feasible_C &= roads.step_C >= now.caution
        return np.asarray(feasible_C)

    def _cross(self) -> list[_Crossing]:
        """The link as it is believed to be, and, where it is uncertain, a slow and a fast one."""
        now = self._now
        bit, slow, fast = _bit(now.bandwidth), _bit(now.slowest), _bit(now.fastest)
        if slow == fast:
            return [self._cross_at(bit, 1.0)]
        points = [(bit + sigmas * (slow - bit if sigmas > 0 else bit - fast), weight) for sigmas, weight in POINTS]
        return [self._cross_at(max(point, 0.0), weight) for point, weight in points]

    def _cross_at(self, bit: float, weight: float) -> _Crossing:
        transmit_C = self._roads.bits_C * bit
        wait_C = self._wait_for_uplink(transmit_C, bit)
        spent_C = np.minimum(transmit_C if wait_C is None else transmit_C + wait_C, self._room_C)
        return _Crossing(weight, transmit_C, wait_C, spent_C)

    def _wait_for_uplink(self, transmit_C: Floats, bit: float) -> Floats | None:
        roads, now = self._roads, self._now
        if now.rate == 0.0:
            return None
        if not now.regular:
            return waiting(now.rate * roads.sent_C * transmit_C, transmit_C, roads.at_random, overload=self._deadline)
        # Frames come in step from the device too: nobody waits where each is through before the next may come.
        step = 1.0 / now.rate
        if roads.most_bits * bit <= FULL * step:
            return None
        wait_C = np.where(transmit_C > step, self._deadline, 0.0)
        load_C = roads.sent_C * transmit_C
        load_C *= now.rate
        late = np.flatnonzero((transmit_C > step) & (load_C < FULL))
        transmit_C = transmit_C[late]
        wait_C[late] = waiting(load_C[late], transmit_C, roads.in_step.at(late), overload=self._deadline)
        return wait_C

    def _transmitting(self, crossing: _Crossing) -> Floats:
        return np.minimum(crossing.transmit_C, self._room_C)

    def _variance(self, *, uncertain: bool) -> Floats:
        """Of the latency of those who stay; with that of the link's mean, or without."""
        roads, times, now = self._roads, self._times, self._now
        waits_C = sum(one.weight * one.wait() ** 2 for one in self._crossings)
        variance_C = (roads.bits_deviation_C * _bit(now.bandwidth)) ** 2 + waits_C + now.round_trip_deviation**2
        if uncertain:
            spent_C = self._away_C - self._travel - self._edge_C
            variance_C = variance_C + sum(one.weight * (one.spent_C - spent_C) ** 2 for one in self._crossings)
        variance_C = variance_C * roads.goes_C
        variance_C += times.head_variance_C * now.device_slow**2
        # How long one waits varies by as much as the mean wait, as in every queue that is often full.
        variance_C += self._device_wait_C**2
        variance_C += SHARPEST**2
        return np.asarray(variance_C, dtype=np.float64)


def _bit(bandwidth: float) -> float:
    """Seconds."""
    return min(1.0 / bandwidth, SLOWEST) if bandwidth > 0 else SLOWEST


def _below(sigmas_C: Floats) -> Floats:
    """The normal distribution, to 2e-4 (Bowling et al., Journal of Industrial Engineering and Management 2009)."""
    sigmas_C = sigmas_C.clip(-8.0, 8.0)
    below_C: Floats = 1.0 / (1.0 + np.exp(-(1.5976 * sigmas_C + 0.07056 * sigmas_C**3)))
    return below_C
