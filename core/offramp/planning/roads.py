"""Candidates as arrays: who leaves where, what is sent, and how long it takes on given hosts.

    Candidates ─► Roads ── timed(device, edge) ─► Times

Roads are free of any host's timing, so that new profiles cost a few look-ups.

# C candidates, E exits (those of the candidate that has most; padded), S segments that occur
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from offramp.measure.profile import Cost, Profile, cost_of_codec
from offramp.plan import Plan
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.queueing import Irregularity, irregularity
from offramp.planning.rules import step_of
from offramp.wire.framing import request_wire_bytes

Name = TypeVar("Name", bound=Hashable)
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

TAIL = 0.05
"""Share of samples that p95 leaves out."""
SIGMAS_OF_P95 = float(NormalDist().inv_cdf(1 - TAIL))


class Roads:
    """What candidates are, without what they take."""

    def __init__(self, candidates: Candidates) -> None:
        items = candidates.candidates
        self.items = items
        self.places = {key(item.plan()): place for place, item in enumerate(items)}
        self.accuracy_low_C = np.array([item.accuracy_low for item in items])
        self.loss_high_C = np.array([item.loss_high for item in items])
        self.step_C = np.array([step_of(item.exit) for item in items])
        """Up their policy's path."""
        exits = max((len(item.reach) for item in items), default=0)
        self.leave_CE = np.zeros((len(items), exits))
        """Share of all samples that leaves at each exit."""
        for place, item in enumerate(items):
            reach = [*item.reach, item.offload]
            self.leave_CE[place, : len(item.reach)] = [here - then for here, then in pairwise(reach)]
        self.end_C = np.array([item.offload for item in items])
        """Share that stays to the split, sent or not."""
        self.goes_C = np.array([float(item.codec != "none" and item.offload > 0) for item in items])
        """1 where whoever stays to the split is sent from there."""
        self.sent_C = self.end_C * self.goes_C
        self.silent_C = self.sent_C == 0.0
        self.bits_C = np.array([8.0 * request_wire_bytes(round(item.payload_mean)) for item in items]) * self.goes_C
        self.wire_bytes_C = self.sent_C * self.bits_C / 8.0
        """Of an average sample."""
        spread_C = np.array([8.0 * (item.payload_p95 - item.payload_mean) for item in items]) * self.goes_C
        self.bits_deviation_C = np.maximum(spread_C, 0.0) / SIGMAS_OF_P95
        variation_C = (
            np.divide(self.bits_deviation_C, self.bits_C, out=np.zeros(len(items)), where=self.bits_C > 0) ** 2
        )
        # Of frames in step each may be missing: the gaps between those that are sent vary by the share that is.
        self.in_step = irregularity(1.0 - self.sent_C, variation_C)
        self.at_random = irregularity(1.0, variation_C)
        self.most_bits = float(self.bits_C.max(initial=0.0))
        self.sigmas_C = np.array([_sigmas(item.offload) for item in items])
        """Of those who stay to the split: how far from their mean the p95 of all samples lies."""
        self._segments, segment_N = _numbered([one for item in items for one in _segments(item, exits)])
        self._segment_CE1 = segment_N.reshape(len(items), exits + 1)
        self._codecs, self._codec_C = _numbered([(item.split, item.codec) for item in items])
        self._others, self._other_C = _numbered([(item.split, item.codecs[-1]) for item in items])
        self._doubted_C = np.array([item.doubted for item in items])
        """Share of those sent that is written with the other codec."""
        self._tails, self._tail_C = _numbered([(item.split, item.via) for item in items])

    def timed(self, device: Profile, edge: Profile) -> "Times":
        """On these hosts."""
        heads = {head: device.headed(head) for head in {head for head, *_ in self._segments}}
        costs = [
            heads[head].segment(start, stop, branch=asked, via=via) for head, start, stop, asked, via in self._segments
        ]
        encode_C, decode_C = self._coding(device.encode), self._coding(edge.decode)
        tail_C = np.array([edge.segment(split, edge.end, via=via).expected for split, via in self._tails])[self._tail_C]
        path_CE1 = np.cumsum(np.array([cost.expected for cost in costs])[self._segment_CE1], axis=1)
        variance_CE1 = np.cumsum(np.array([_variance(cost) for cost in costs])[self._segment_CE1], axis=1)
        exit_CE, head_C = np.ascontiguousarray(path_CE1[:, :-1]), path_CE1[:, -1].copy()
        encode_C, decode_C, tail_C = encode_C * self.goes_C, decode_C * self.goes_C, tail_C * self.goes_C
        busy_C = head_C + encode_C
        service_C = (self.leave_CE * exit_CE).sum(axis=1) + self.end_C * busy_C
        square_C = (self.leave_CE * exit_CE**2).sum(axis=1) + self.end_C * busy_C**2
        square_C += (self.leave_CE * variance_CE1[:, :-1]).sum(axis=1) + self.end_C * variance_CE1[:, -1]
        variation_C = np.divide(square_C, service_C**2, out=np.ones(len(service_C)), where=service_C > 0) - 1
        longest_C = np.where(self.end_C > 0, busy_C, exit_CE.max(axis=1, initial=0.0, where=self.leave_CE > 0))
        return Times(
            exit_CE=exit_CE,
            head_C=head_C,
            head_variance_C=variance_CE1[:, -1].copy(),
            device_C=service_C - self.end_C * encode_C,
            encode_C=encode_C,
            service_C=service_C,
            in_step=irregularity(0.0, np.maximum(variation_C, 0.0)),
            at_random=irregularity(1.0, np.maximum(variation_C, 0.0)),
            longest_C=longest_C,
            longest=float(longest_C.max(initial=0.0)),
            busy_C=busy_C,
            early_C=_early(self.leave_CE, exit_CE),
            edge_C=decode_C + tail_C,
            decode_C=decode_C,
        )

    def _coding(self, costs: Mapping[str, Cost]) -> Floats:
        """[C] seconds of a sample that is sent, on average over both codecs where there are two."""
        seconds_C = np.array([cost_of_codec(costs, *one).expected for one in self._codecs])[self._codec_C]
        other_C = np.array([cost_of_codec(costs, *one).expected for one in self._others])[self._other_C]
        return np.asarray(seconds_C + self._doubted_C * (other_C - seconds_C))

    def only(self, place: int) -> "Roads":
        """The same for one candidate alone; it can no longer be timed, nor look for plans."""
        one = Roads.__new__(Roads)
        for name, value in vars(self).items():
            setattr(one, name, _only(value, place))
        return one


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds on given hosts."""

    exit_CE: Floats
    """From the first stage to each exit."""
    head_C: Floats
    """To the split, without the codec."""
    head_variance_C: Floats
    device_C: Floats
    """Stages and branches, on average over those who leave and those who stay."""
    encode_C: Floats
    """Of a sample that is sent; so are all below that are at the edge."""
    service_C: Floats
    """What the device is busy with one sample, on average, encoding included."""
    busy_C: Floats
    """What the device is busy with a sample that is sent."""
    in_step: Irregularity
    """Of waiting for the device, by frames in step."""
    at_random: Irregularity
    longest_C: Floats
    """What the device is busy with the sample that takes longest."""
    longest: float
    """Over all candidates."""
    early_C: Floats
    """To the exit by which 95 of 100 samples have left, where there is one; else to the last exit."""
    edge_C: Floats
    """Decode and tail."""
    decode_C: Floats

    def only(self, place: int) -> "Times":
        return Times(**{name: _only(getattr(self, name), place) for name in self.__slots__})


def _only(value: Any, place: int) -> Any:
    if isinstance(value, np.ndarray):
        return value[place : place + 1]
    return value.at(np.array([place])) if isinstance(value, Irregularity) else value


def key(plan: Plan) -> Hashable:
    """What makes a plan the same as a candidate: its revision does not count."""
    return plan.split, plan.exit, plan.codec, plan.head, plan.unsure


def _segments(item: Candidate, exits: int) -> list[tuple[str, int, int, bool, str]]:
    """Between two decisions each; those that a candidate with fewer exits lacks take nothing, before its last one."""
    cuts = [0, *item.exit.asked]
    asked = [(item.head, start, stop, True, "") for start, stop in pairwise(cuts)]
    none = ("", 0, 0, False, "")
    return [*asked, *[none] * (exits - len(asked)), (item.head, cuts[-1], item.split, False, item.via)]


def _numbered(names_N: Sequence[Name]) -> tuple[list[Name], Indices]:
    """Each name once, and [N] where each of them stands there."""
    names = list(dict.fromkeys(names_N))
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[name] for name in names_N], dtype=np.intp)


def _variance(cost: Cost) -> float:
    """As if what a piece of work takes were normal around its median."""
    return (max(cost.p95 - cost.median, 0.0) / SIGMAS_OF_P95) ** 2


def _sigmas(end: float) -> float:
    """The slowest are those who stay to the end; a twentieth of all samples is this quantile of them."""
    return float(NormalDist().inv_cdf(1 - TAIL / end)) if end > TAIL else -np.inf


def _early(leave_CE: Floats, exit_CE: Floats) -> Floats:
    if not exit_CE.shape[1]:
        return np.zeros(len(exit_CE))
    left_CE = np.cumsum(leave_CE, axis=1)
    first_C = np.where((left_CE >= 1 - TAIL).any(axis=1), (left_CE >= 1 - TAIL).argmax(axis=1), exit_CE.shape[1] - 1)
    return np.asarray(exit_CE[np.arange(len(exit_CE)), first_C])
