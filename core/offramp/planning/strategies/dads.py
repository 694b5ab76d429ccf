"""DADS: the division as a minimum cut (Hu, Bao, Wang and Liu, INFOCOM 2019).

    device ═∞═► input ─bits─► stage 0 ─bits─► stage 1 ─bits─► … stage n-1
                  every stage ─ its seconds on the device ─► edge
    device ─ its seconds at the edge ─► every stage

What stays on the device's side of the cut pays its time there, what lies on the edge's side its time at the edge, and
the link where the two sides meet pays encoding, bits / bandwidth, round trip and decoding. Nothing comes back: links
against the flow are never cut. A chain is a special case of the paper's graphs; there the cut is exact, and equals the
best of all splits.

Under heavy load, where one host or the link could not keep up with the arrivals, the paper shortens the slowest of the
three steps instead; it does so by an approximation, which a chain does not need. It leaves open how features are
written: here by the codec that crosses a cut soonest, of those recorded there that hold the objective's accuracy.

# K cuts, C candidates
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.errors import MissingExtraError
from offramp.planning.roads import Floats
from offramp.planning.situation import Situation
from offramp.planning.strategies.chain import (
    accurate,
    away_seconds,
    chosen,
    device_seconds,
    model_of,
    one_sample,
    plain,
    transmit_seconds,
)
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.units import format_seconds

TICK = 1e-9
"""Capacities are whole numbers of these seconds: a flow of floats may never settle."""


class Dads(Strategy):
    """The minimum cut of the chain of stages; the shortest bottleneck where that would not keep up."""

    def __init__(self, grounds: Grounds) -> None:
        """
        Raises:
            MissingExtraError: networkx is not installed.
        """
        try:
            import networkx
        except ImportError as error:
            raise MissingExtraError("networkx", "orchestrator", "the strategy dads") from error
        self._networkx = networkx
        self._objective = grounds.objective
        end = grounds.manifest.end
        self._model = model_of(grounds, accurate(plain(grounds), grounds.objective))
        self._split_C = np.array([item.split for item in self._model.candidates])
        device_K, edge_K = np.zeros(end + 1), np.zeros(end + 1)
        for cut in grounds.manifest.splits:
            device_K[cut] = grounds.device.segment(0, cut).expected
            edge_K[cut] = grounds.edge.segment(cut, end).expected
        # What the stages' own times lack of candidates via a bottleneck: its encoder, its decoder, another tail.
        times, via_C = self._model.times, np.array([bool(item.via) for item in self._model.candidates])
        self._detour_C = (times.head_C - device_K[self._split_C]) * via_C
        self._decoder_C = (times.edge_C - times.decode_C - edge_K[self._split_C]) * via_C
        # A longer piece may measure shorter by chance, but no stage takes less than nothing.
        self._device_K = np.maximum.accumulate(device_K)
        self._edge_K = np.maximum.accumulate(edge_K[::-1])[::-1]

    def choose(self, situation: Situation) -> Choice:
        place_K, crossing_K = self._crossings(situation)
        split = self._cut(crossing_K, situation)
        place = int(place_K[split])
        slowest_C = self._slowest(situation)
        if situation.rate * slowest_C[place] < 1:
            seconds = format_seconds(float(one_sample(self._model, situation)[place]))
            why = f"dads: the minimum cut of the chain lies after {split} stages, and takes one sample {seconds}"
        else:
            place = int(slowest_C.argmin())
            why = (
                f"dads: with {situation.rate:g} samples a second the minimum cut would not keep up; the slowest step "
                f"of this one is the shortest, {format_seconds(float(slowest_C[place]))}"
            )
        return chosen(self._model, place, situation, self._objective, why)

    def _crossings(self, situation: Situation) -> tuple[NDArray[np.intp], Floats]:
        """[K] who crosses each cut soonest, and how long that takes; infinite where nobody is known to."""
        times = self._model.times
        tail_C = (times.edge_C - times.decode_C) * situation.edge_slow
        crossing_C = away_seconds(self._model, situation) - tail_C + times.encode_C * situation.device_slow
        crossing_C = crossing_C + self._detour_C * situation.device_slow + self._decoder_C * situation.edge_slow
        place_K = np.zeros(len(self._device_K), dtype=np.intp)
        crossing_K = np.full(len(self._device_K), np.inf)
        for place, (split, seconds) in enumerate(zip(self._split_C, crossing_C, strict=True)):
            if seconds < crossing_K[split]:
                place_K[split], crossing_K[split] = place, seconds
        return place_K, crossing_K

    def _cut(self, crossing_K: Floats, situation: Situation) -> int:
        """How many stages lie on the device's side."""
        graph: Any = self._networkx.DiGraph()
        here_S = np.diff(self._device_K) * situation.device_slow
        there_S = -np.diff(self._edge_K) * situation.edge_slow
        graph.add_edge("device", -1)  # the input: without a capacity, a link is never cut
        for stage, (here, there) in enumerate(zip(here_S, there_S, strict=True)):
            graph.add_edge(stage, "edge", capacity=_ticks(here))
            graph.add_edge("device", stage, capacity=_ticks(there))
            graph.add_edge(stage, stage - 1)
            crossing = crossing_K[stage]
            graph.add_edge(stage - 1, stage, **({"capacity": _ticks(crossing)} if np.isfinite(crossing) else {}))
        _, (on_device, _) = self._networkx.minimum_cut(graph, "device", "edge")
        return len(on_device) - 2  # the device itself and the input are no stages

    def _slowest(self, situation: Situation) -> Floats:
        """[C] the longest of the three steps that every sample takes, each for itself: device, uplink, edge."""
        transmit_C = transmit_seconds(self._model, situation)
        edge_C = self._model.times.edge_C * situation.edge_slow
        slowest_C: Floats = np.maximum.reduce([device_seconds(self._model, situation), transmit_C, edge_C])
        return slowest_C


def _ticks(seconds: float) -> int:
    return round(float(seconds) / TICK)
