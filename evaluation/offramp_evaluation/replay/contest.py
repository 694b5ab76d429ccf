"""Every baseline beside the planned device, on the same samples over the same link.

    all on the device · all at the edge (raw, PNG, JPEG, WebP) · each split · best static plan · planned · oracle

# C candidates, G glimpses of the trace
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.candidates import Candidates
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay.drivers import Driver, Fixed, Foreseeing, Planned
from offramp_evaluation.traces.trace import Trace

INPUTS = ("raw", "png", "jpeg", "webp")
"""Families of input codecs; the best member of each stands in the table."""
Fits = Callable[[Plan], bool]

GLIMPSES = 200
"""Moments of the trace at which static plans are judged by the cost formula."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One row of the table."""

    name: str
    about: str
    driver: Driver
    deployable: bool = True
    """False for what knows the future."""


def contestants(
    candidates: Candidates,
    model: CostModel,
    trace: Trace,
    inputs: Sequence[str],
    *,
    rate: float,
    duration: Seconds,
    accuracy_floor: float,
    deadline: Seconds,
) -> Iterator[Contestant]:
    """In the order of the table; `inputs` are the codecs of the input that could be sent, candidates or not.

    Raises:
        PlanError: The candidates lack the whole network on the device; build the bundle again.
    """
    situations = _glimpses(trace, rate, duration)
    judged = _Judged(candidates, model, situations, accuracy_floor, deadline)
    silent = judged.best(_stays)
    if silent is None:
        raise PlanError("the bundle ships no candidate that stays on the device; build it again")
    yield Contestant(name="all on the device", about="no link, no exits", driver=Fixed(silent))
    for family in INPUTS:
        sent = judged.best(partial(_sends_input, family=family))
        if sent is None:  # worth no candidate, but the reader wants to see why
            sent = next((Plan(split=0, codec=codec) for codec in inputs if codec.startswith(family)), None)
        if sent is not None:
            yield Contestant(name=f"all at the edge: {sent.codec}", about="no exits", driver=Fixed(sent))
    for split in sorted({item.split for item in candidates.candidates} - {0}):
        at = judged.best(partial(_splits_at, split=split))
        if at is not None:
            yield Contestant(name=f"split {split}: {at.codec}", about="no exits", driver=Fixed(at))
    static = judged.best(lambda _plan: True)
    assert static is not None  # there is the one that stays on the device
    yield Contestant(name="best static plan", about=str(static), driver=Fixed(static))
    yield Contestant(
        name="planned",
        about="the cost formula each second, from the device's own link estimate",
        driver=Planned(model=model, accuracy_floor=accuracy_floor, rate=rate, first=situations[0]),
    )
    yield Contestant(
        name="oracle",
        about="the same, knowing the next second of the trace: not deployable",
        driver=Foreseeing(model=model, accuracy_floor=accuracy_floor, rate=rate, trace=trace),
        deployable=False,
    )


def _stays(plan: Plan) -> bool:
    return plan.codec == "none" and not plan.exit.thresholds


def _sends_input(plan: Plan, family: str) -> bool:
    return plan.split == 0 and plan.codec.startswith(family)


def _splits_at(plan: Plan, split: int) -> bool:
    return plan.split == split and plan.codec != "none" and not plan.exit.thresholds


class _Judged:
    """Candidates by their mean latency over the trace, as the cost formula has it."""

    def __init__(
        self, candidates: Candidates, model: CostModel, situations: list[Situation], floor: float, deadline: Seconds
    ) -> None:
        self._plans = [item.plan() for item in candidates.candidates]
        self._accuracy_C = np.array([item.accuracy for item in candidates.candidates])
        self._floor = floor
        latency_GC = np.stack([model.latency(situation) for situation in situations])
        # What is infeasible for a while is answered at the deadline, at best.
        self._latency_C: NDArray[np.float64] = np.minimum(latency_GC, deadline).mean(axis=0)

    def best(self, fits: Fits) -> Plan | None:
        """The fastest that fits and holds the floor; when none holds it, the most accurate; when none fits, none."""
        fits_C = np.array([fits(plan) for plan in self._plans], dtype=bool)
        if not fits_C.any():
            return None
        holds_C = fits_C & (self._accuracy_C >= self._floor)
        if holds_C.any():
            return self._plans[int(np.where(holds_C, self._latency_C, np.inf).argmin())]
        return self._plans[int(np.where(fits_C, self._accuracy_C, -np.inf).argmax())]


def _glimpses(trace: Trace, rate: float, duration: Seconds) -> list[Situation]:
    moments = np.linspace(0.0, duration, GLIMPSES, endpoint=False)
    return [
        Situation(bandwidth=BitsPerSecond(float(bandwidth)), round_trip=Seconds(2 * float(delay)), rate=rate)
        for bandwidth, delay in zip(trace.goodput[trace.piece_at(moments)], trace.delay_at(moments), strict=True)
    ]
