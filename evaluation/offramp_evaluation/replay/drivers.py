"""Who says which plan a simulated device follows, and when.

Fixed            one plan, for ever
Strategic        a strategy of the catalogue, asked again and again with what the device itself has seen
Foreseeing       the same strategy with the truth about the next period: for comparison only
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from offramp.measure.link import FIRST_GUESS, LinkEstimate
from offramp.plan import Plan
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Strategy
from offramp.records import Result
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

PERIOD = Seconds(1.0)
"""Between two choices: the pace of an orchestrator."""
FIRST_ROUND_TRIP = Seconds(0.05)
"""Assumed until something was heard."""
LOST_BANDWIDTH = BitsPerSecond(0.0)
NEWEST = 0.3
"""Weight of the newest period in the average wait at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a device knows when a plan is chosen for it."""

    now: Seconds
    link: LinkEstimate | None
    """None before anything was learned."""
    lost: bool
    """It has no connection to the edge."""


class Driver(Protocol):
    """Follows one device through a replay."""

    @property
    def period(self) -> Seconds | None:
        """How often it is asked; None: once, at the start."""
        ...

    def choose(self, seen: Seen) -> Choice:
        """The plan from now on."""
        ...

    def learn(self, results: Sequence[Result]) -> None:
        """What became, since it was last asked, of samples that followed its last plan."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    plan: Plan
    period: Seconds | None = None

    def choose(self, seen: Seen) -> Choice:  # noqa: ARG002 - it looks at nothing
        return Choice(plan=self.plan, forecast=None, why="fixed")

    def learn(self, results: Sequence[Result]) -> None: ...


class StandingClock:
    """The clock of strategies: it stands at the moment of the latest question."""

    def __init__(self) -> None:
        self.time = Seconds(0.0)

    def now(self) -> Seconds:
        return self.time

    def sleep(self, duration: Seconds) -> None:
        raise AssertionError(f"a strategy decides, it does not sleep {duration:g} s")


class Strategic:
    """A strategy as it is deployed: it sees the device's own link estimate, and what became of its samples."""

    def __init__(
        self,
        strategy: Strategy,
        clock: StandingClock,
        *,
        rate: float,
        regular: bool = True,
        period: Seconds = PERIOD,
    ) -> None:
        """`clock` is that of the strategy's grounds; `rate` and `regular` say how samples arrive."""
        self.period = period
        self._strategy = strategy
        self._clock = clock
        self._rate, self._regular = rate, regular
        self._edge_wait = 0.0

    def choose(self, seen: Seen) -> Choice:
        self._clock.time = seen.now
        return self._strategy.choose(self._situation(seen))

    def learn(self, results: Sequence[Result]) -> None:
        waits = [result.timings.edge.queue for result in results if result.timings.edge is not None]
        if waits:
            self._edge_wait += NEWEST * (sum(waits) / len(waits) - self._edge_wait)
        self._strategy.learn(results)

    def _situation(self, seen: Seen) -> Situation:
        known = {"regular": self._regular, "edge_wait": Seconds(self._edge_wait)}
        if seen.link is not None and not seen.lost:
            return Situation.from_link(seen.link, self._rate, **known)
        bandwidth = LOST_BANDWIDTH if seen.lost else BitsPerSecond(1 / FIRST_GUESS)
        round_trip = FIRST_ROUND_TRIP if seen.link is None else seen.link.round_trip
        return Situation(bandwidth=bandwidth, round_trip=round_trip, rate=self._rate, **known)  # type: ignore[arg-type]


class Foreseeing:
    """Knows what the link will carry until it is asked again. Nobody can deploy it."""

    def __init__(
        self, strategy: Strategy, trace: Trace, *, rate: float, regular: bool = True, period: Seconds = PERIOD
    ) -> None:
        self.period = period
        self._strategy = strategy
        self._rate, self._regular = rate, regular
        self._trace, self._integral = trace, Integral(trace)

    def choose(self, seen: Seen) -> Choice:
        bits = 8 * float(self._integral.between(seen.now, seen.now + self.period))
        delay = float(self._trace.delay_at(seen.now))
        situation = Situation(
            bandwidth=BitsPerSecond(bits / self.period),
            round_trip=Seconds(2 * delay),
            rate=self._rate,
            regular=self._regular,
        )
        return self._strategy.choose(situation)

    def learn(self, results: Sequence[Result]) -> None: ...
