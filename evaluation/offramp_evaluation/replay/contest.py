"""Every baseline beside the strategies, on the same samples over the same link.

    all on the device · all at the edge (raw, PNG, JPEG, WebP) · each split · best static plan · strategies · oracle

# C candidates, G glimpses of the trace
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offramp.errors import PlanError
from offramp.plan import Plan
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import DEFAULT, open_strategy
from offramp.planning.strategies.strategy import Grounds
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay.drivers import Driver, Fixed, Foreseeing, StandingClock, Strategic
from offramp_evaluation.traces.trace import Trace

INPUTS = ("raw", "png", "jpeg", "webp")
"""Families of input codecs; the best member of each stands in the table."""
STRATEGIES = (DEFAULT, "search")
"""Those that stand in the table unless others are named."""
BASELINES = ("device", "input", "splits", "static", "oracle")
"""What strategies are held against: each of them one row or several, in this order but for the oracle, the last."""
ORACLE, BEST_STATIC = "oracle", "best static plan"
GLIMPSES = 200
"""Moments of the trace at which static plans are judged by the cost model."""

Fits = Callable[[Plan], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One row of the table."""

    name: str
    about: str
    drive: Callable[[], Driver]
    """A driver for one device; those with a memory share none."""
    deployable: bool = True
    """False for what knows the future."""
    strategy: bool = False
    """It chooses plans as it goes."""
    plan: Plan | None = None
    """That it keeps, where it keeps one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How samples arrive at each device."""

    rate: float
    """Per second, on average."""
    regular: bool
    """In step, as a camera's."""
    duration: Seconds


def contestants(
    grounds: Grounds,
    clock: StandingClock,
    trace: Trace,
    inputs: Sequence[str],
    load: Load,
    strategies: Sequence[str] = STRATEGIES,
    baselines: Sequence[str] = BASELINES,
) -> Iterator[Contestant]:
    """In the order of the table; `inputs` are the codecs of the input that could be sent, candidates or not.

    `clock` is that of the grounds.

    Raises:
        PlanError: The candidates lack the whole network on the device; build the bundle again.
        UnknownNameError: There is no such strategy.
    """
    judged = _Judged(grounds, _glimpses(trace, load))
    silent = judged.best(_stays)
    if silent is None:
        raise PlanError("the bundle ships no candidate that stays on the device; build it again")
    if "device" in baselines:
        yield _fixed("all on the device", "no link, no exits", silent)
    for family in INPUTS if "input" in baselines else ():
        sent = judged.best(partial(_sends_input, family=family))
        if sent is None:  # worth no candidate, but the reader wants to see why
            sent = next((Plan(split=0, codec=codec) for codec in inputs if codec.startswith(family)), None)
        if sent is not None:
            yield _fixed(f"all at the edge: {sent.codec}", "no exits", sent)
    splits = {item.split for item in grounds.candidates.candidates} - {0}
    for split in sorted(splits) if "splits" in baselines else ():
        at = judged.best(partial(_splits_at, split=split))
        if at is not None:
            yield _fixed(f"split {split}: {at.codec}", "no exits", at)
    static = judged.best(lambda _plan: True)
    assert static is not None  # there is the one that stays on the device
    if "static" in baselines:
        yield _fixed(BEST_STATIC, f"{static}, chosen for this trace in hindsight", static)
    for name in dict.fromkeys(strategies):
        yield strategic(name, grounds, clock, load)
    if "oracle" in baselines:
        yield Contestant(
            name=ORACLE,
            about="knows the next second of the trace: not deployable",
            drive=lambda: Foreseeing(open_strategy("search", grounds), trace, rate=load.rate, regular=load.regular),
            deployable=False,
            strategy=True,
        )


def strategic(
    name: str, grounds: Grounds, clock: StandingClock, load: Load, period: Seconds | None = None
) -> Contestant:
    """A strategy of the catalogue, as it is deployed.

    Raises:
        UnknownNameError: There is none of this name.
    """
    open_strategy(name, grounds)  # so that a wrong name is an error before anything is replayed
    more = {} if period is None else {"period": period}

    def drive() -> Driver:
        return Strategic(open_strategy(name, grounds), clock, rate=load.rate, regular=load.regular, **more)

    return Contestant(name=name, about="by what the device itself has seen", drive=drive, strategy=True)


def _fixed(name: str, about: str, plan: Plan) -> Contestant:
    return Contestant(name=name, about=about, drive=lambda: Fixed(plan), plan=plan)


def _stays(plan: Plan) -> bool:
    return plan.codec == "none" and not plan.exit.thresholds


def _sends_input(plan: Plan, family: str) -> bool:
    return plan.split == 0 and plan.codec.startswith(family)


def _splits_at(plan: Plan, split: int) -> bool:
    return plan.split == split and plan.codec != "none" and not plan.exit.thresholds


class _Judged:
    """Candidates by their mean latency over the trace, as the cost model has it."""

    def __init__(self, grounds: Grounds, situations: list[Situation]) -> None:
        items, objective = grounds.candidates.candidates, grounds.objective
        self._plans = [item.plan() for item in items]
        self._accuracy_C = np.array([item.accuracy for item in items])
        self._holds_C = np.array([objective.holds(item.accuracy_low, item.loss_high) for item in items], dtype=bool)
        latency_GC = np.stack([grounds.model.latency(situation, objective.deadline) for situation in situations])
        # What is infeasible for a while is answered at the deadline, at best.
        self._latency_C: NDArray[np.float64] = np.minimum(latency_GC, objective.deadline).mean(axis=0)

    def best(self, fits: Fits) -> Plan | None:
        """The fastest that fits and is accurate enough; when none is, the most accurate; when none fits, none."""
        fits_C = np.array([fits(plan) for plan in self._plans], dtype=bool)
        if not fits_C.any():
            return None
        holds_C = fits_C & self._holds_C
        if holds_C.any():
            return self._plans[int(np.where(holds_C, self._latency_C, np.inf).argmin())]
        return self._plans[int(np.where(fits_C, self._accuracy_C, -np.inf).argmax())]


def _glimpses(trace: Trace, load: Load) -> list[Situation]:
    moments = np.linspace(0.0, load.duration, GLIMPSES, endpoint=False)
    return [
        Situation(
            bandwidth=BitsPerSecond(float(bandwidth)),
            round_trip=Seconds(2 * float(delay)),
            rate=load.rate,
            regular=load.regular,
        )
        for bandwidth, delay in zip(trace.goodput[trace.piece_at(moments)], trace.delay_at(moments), strict=True)
    ]
