"""The cost formula: what each candidate would cost on these hosts, over this link, at this arrival rate.

    latency = stages and branches executed on the device
            + share sent × (encode + bits / bandwidth + wait for the uplink + round trip + decode + tail)

One vectorised expression over all candidates; no network is run.

# C candidates
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.errors import PlanError
from offramp.measure.profile import NOTHING, Profile
from offramp.planning.candidates import Candidate, Candidates
from offramp.units import BitsPerSecond, Seconds
from offramp.wire.framing import request_wire_bytes

FULL = 0.95
"""Busy for a larger share of the time, a resource is overloaded: the plan is infeasible, not merely slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a choice may look at."""

    bandwidth: BitsPerSecond
    """Of the uplink; 0 in an outage."""
    round_trip: Seconds
    rate: float
    """Samples per second that arrive at the device."""


class CostModel:
    """Predicts the mean latency of every candidate of one bundle between one device and one edge."""

    def __init__(self, candidates: Candidates, device: Profile, edge: Profile) -> None:
        self.candidates = candidates.candidates
        self._accuracy_C = np.array([item.accuracy for item in self.candidates])
        self._device_C = np.array([_on_device(item, device) for item in self.candidates])
        self._offload_C = np.array([item.offload if item.codec != "none" else 0.0 for item in self.candidates])
        self._bits_C = np.array([_bits(item) for item in self.candidates])
        self._edge_C = np.array([_at_edge(item, device, edge) for item in self.candidates])

    def latency(self, situation: Situation) -> NDArray[np.float64]:
        """[C] mean seconds from arrival to Result; infinite where the device or the uplink would be overloaded."""
        keeps_up_C = situation.rate * self._device_C < FULL
        with np.errstate(divide="ignore", invalid="ignore"):
            transmit_C = self._bits_C / np.float64(situation.bandwidth)
            busy_C = situation.rate * self._offload_C * transmit_C
            # Mean wait of a queue with random arrivals and nearly constant service (M/D/1).
            wait_C = np.where(busy_C < FULL, busy_C * transmit_C / (2 * (1 - busy_C)), np.inf)
            away_C = self._edge_C + transmit_C + wait_C + situation.round_trip
            sent_C = np.where(self._offload_C > 0, self._offload_C * away_C, 0.0)
        latency_C: NDArray[np.float64] = np.where(keeps_up_C, self._device_C + sent_C, np.inf)
        return latency_C

    def choose(self, situation: Situation, accuracy_floor: float) -> tuple[Candidate, Seconds]:
        """The candidate of least mean latency whose accuracy holds the floor, and that latency.

        When nothing that holds the floor is feasible (an outage, say), the most accurate feasible one.

        Raises:
            PlanError: No candidate is feasible: even alone, the device cannot keep up with the arrivals.
        """
        latency_C = self.latency(situation)
        holds_C = self._accuracy_C >= accuracy_floor
        if np.isfinite(latency_C[holds_C]).any():
            best = int(np.where(holds_C, latency_C, np.inf).argmin())
        elif np.isfinite(latency_C).any():
            best = int(np.where(np.isfinite(latency_C), self._accuracy_C, -np.inf).argmax())
        else:
            raise PlanError(f"no plan keeps up with {situation.rate:g} samples a second on this device; lower the rate")
        return self.candidates[best], Seconds(float(latency_C[best]))


def _on_device(candidate: Candidate, profile: Profile) -> float:
    total, here = 0.0, 0
    for (cut, _), reach in zip(candidate.exit.thresholds, candidate.reach, strict=True):
        total += reach * profile.segment(here, cut, branch=True).median
        here = cut
    return total + candidate.offload * profile.segment(here, candidate.split).median


def _bits(candidate: Candidate) -> float:
    return 8.0 * request_wire_bytes(round(candidate.payload_mean))


def _at_edge(candidate: Candidate, device: Profile, edge: Profile) -> float:
    key = f"{candidate.split}:{candidate.codec}"
    encode, decode = device.encode.get(key, NOTHING), edge.decode.get(key, NOTHING)
    return encode.median + decode.median + edge.segment(candidate.split, edge.end).median
