"""Corrects the cost model from what was predicted and what was measured, around any strategy: `residual:search`.

    measured / predicted, by part ─┬─► of all plans: device, link and edge are so much slower ─► situation ─┬─► NAME
                                   └─► what is left of a (split, codec): ratio and seconds   ─► costs ──────┘

Profiles age, boards throttle, links have costs that no estimate names: what is systematic in that is learned here. The
strategy inside sees a corrected situation and a cost model of its own, so that what it chooses by is what it reports.
What is learned of all plans also helps those that were never tried.

Predictions that are compared are those of the uncorrected model: no correction feeds on itself. A sample counts for a
factor between 1/4 and 4, so one stall is one sample, and no ratio leaves that range. Old samples are forgotten slowly,
and few samples say little: without any, nothing is changed. Shares are not corrected: that samples are harder than at
calibration is for whoever watches drift. Wrap it around everything else (`residual:steady:search`): what stands outside
plans by the uncorrected model.

# C candidates, E exits
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.planning.strategies.chain import imagined, model_of
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.records import Answered, Result
from offramp.units import BitsPerSecond, Seconds

BOUND = 4.0
"""No sample counts for more than this factor."""
MEMORY = 500
"""Samples after which one weighs e times less."""
PRIOR = 10.0
"""Samples' worth of trust in the uncorrected prediction."""

Family = tuple[int, str]
"""Split and codec: plans that execute and send the same, whoever leaves before."""


@dataclass(slots=True)
class Ratio:
    """Measured over predicted, by faded sums: what takes long weighs more, as it does in a mean."""

    measured: float = 0.0
    predicted: float = 0.0
    weight: float = 0.0

    def note(self, measured: float, predicted: float) -> None:
        keep = 1 - 1 / MEMORY
        self.measured = keep * self.measured + _bounded(measured, predicted)
        self.predicted = keep * self.predicted + predicted
        self.weight = keep * self.weight + 1

    def beside(self, known: float = 1.0) -> float:
        """What is left of it beside a ratio that is known already; 1 when no sample was seen."""
        predicted = self.predicted * known
        trust = PRIOR * predicted / max(self.weight, 1.0)
        return (self.measured + trust) / (predicted + trust) if predicted > 0 else 1.0

    def seconds_beside(self, known: float) -> float:
        """The same as a difference per sample; 0 when no sample was seen."""
        return (self.measured - self.predicted * known) / (self.weight + PRIOR)


NOTHING_SEEN = Ratio()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the uncorrected model says about the plan in force, of one sample."""

    family: Family
    exits: dict[int, float]
    """Seconds on the device, by the cut of the branch at which it leaves."""
    head: float
    encode: float
    away: float
    """If it is sent."""


class Residual(Strategy):
    """Learns how far predictions are off, on the device and away from it."""

    def __init__(self, grounds: Grounds, open_inner: Callable[[Grounds], Strategy]) -> None:
        self._grounds, self._deadline = grounds, grounds.objective.deadline
        corrected = grounds.retimed()  # with a model of its own, which nobody else plans by
        self._corrected = corrected.model
        self._inner = open_inner(corrected)
        families: list[Family] = [(item.split, item.codec) for item in grounds.model.candidates]
        self._families = list(dict.fromkeys(families))
        self._family_C = np.array([self._families.index(one) for one in families], dtype=np.intp)
        self._device, self._away = Ratio(), Ratio()
        self._device_of: dict[Family, Ratio] = {}
        self._away_of: dict[Family, Ratio] = {}
        self._expected: Expected | None = None

    def choose(self, situation: Situation) -> Choice:
        seen = self.correct(situation)
        self._correct_costs(seen)
        choice = self._inner.choose(seen)
        self._expected = self._expect(choice, situation)
        if not self._device.weight:
            return choice
        device, away = self._device.beside(), self._away.beside()
        learned = f"measured over predicted: {device:.2f} on the device, {away:.2f} away from it"
        return replace(choice, why=f"{choice.why} ({learned})")

    def learn(self, results: Sequence[Result]) -> None:
        if self._expected is not None:
            for result in results:
                self._note(result, self._expected)
        self._inner.learn(results)

    def correct(self, situation: Situation) -> Situation:
        """What the strategy inside sees: as slow as all plans together have shown."""
        device, away = self._device.beside(), self._away.beside()
        low, high = situation.bandwidth_low, situation.bandwidth_high
        return replace(
            situation,
            bandwidth=BitsPerSecond(situation.bandwidth / away),
            bandwidth_low=None if low is None else BitsPerSecond(low / away),
            bandwidth_high=None if high is None else BitsPerSecond(high / away),
            round_trip=Seconds(situation.round_trip * away),
            round_trip_deviation=Seconds(situation.round_trip_deviation * away),
            edge_wait=Seconds(situation.edge_wait * away),
            edge_slow=situation.edge_slow * away,
            device_slow=situation.device_slow * device,
        )

    def _correct_costs(self, seen: Situation) -> None:
        """Of each family, by what is left of it; seconds away from the device are put where the edge's work is."""
        if not self._device.weight:
            return
        times, device, away = self._grounds.model.times, self._device.beside(), self._away.beside()
        ratios = [self._device_of.get(one, NOTHING_SEEN).beside(device) for one in self._families]
        seconds = [self._away_of.get(one, NOTHING_SEEN).seconds_beside(away) for one in self._families]
        ratio_C, left_C = np.array(ratios)[self._family_C], np.array(seconds)[self._family_C]
        edge_C = times.edge_C + left_C / seen.edge_slow * self._grounds.model.roads.goes_C
        self._corrected.times = replace(
            times,
            exit_CE=times.exit_CE * ratio_C[:, None],
            head_C=times.head_C * ratio_C,
            head_variance_C=times.head_variance_C * ratio_C**2,
            device_C=times.device_C * ratio_C,
            encode_C=times.encode_C * ratio_C,
            service_C=times.service_C * ratio_C,
            longest_C=times.longest_C * ratio_C,
            early_C=times.early_C * ratio_C,
            edge_C=np.maximum(edge_C, times.decode_C),
        )

    def _expect(self, choice: Choice, situation: Situation) -> Expected | None:
        """None where nothing was predicted."""
        model, plan = self._grounds.model, choice.plan
        place = model.find(plan)
        if place is None:
            if choice.forecast is None:
                return None
            alone = imagined(self._grounds, plan.split, plan.codec, choice.forecast.wire_bytes, rule=plan.exit)
            model, place = model_of(self._grounds, [alone]), 0
        cuts = list(plan.exit.asked)
        device_E = (model.times.exit_CE[place] * situation.device_slow).tolist()
        return Expected(
            family=(plan.split, plan.codec),
            exits=dict(zip(cuts, device_E, strict=False)),
            head=float(model.times.head_C[place]) * situation.device_slow,
            encode=float(model.times.encode_C[place]) * situation.device_slow,
            away=_away(model, place, situation, self._deadline),
        )

    def _note(self, result: Result, expected: Expected) -> None:
        timings, sent = result.timings, result.timings.away > 0
        if result.answered is Answered.DEVICE:
            device = expected.exits.get(result.exit if result.exit is not None else -1, expected.head)
        elif result.answered is Answered.EDGE or (result.answered is Answered.DEGRADED and sent):
            device = expected.head + expected.encode
        else:
            return  # it went no known part of the way
        self._compare(timings.head + timings.encode, device, self._device, self._device_of, expected.family)
        # Of an edge that was given up, only that it takes longer than so is known.
        if sent and (result.answered is Answered.EDGE or timings.away > expected.away):
            self._compare(timings.away, expected.away, self._away, self._away_of, expected.family)

    @staticmethod
    def _compare(measured: float, predicted: float, of_all: Ratio, by_family: dict[Family, Ratio], one: Family) -> None:
        if predicted > 0:
            of_all.note(measured, predicted)
            by_family.setdefault(one, Ratio()).note(measured, predicted)


def _away(model: CostModel, place: int, situation: Situation, deadline: Seconds) -> float:
    """Seconds from the uplink to the answer, of a sample that is sent."""
    sent = float(model.roads.sent_C[place])
    if not sent:
        return 0.0
    parts = model.forecast(place, situation, deadline).parts
    here = parts.device_wait + parts.device + parts.encode
    return (parts.total - here) / sent


def _bounded(measured: float, predicted: float) -> float:
    return min(max(measured, predicted / BOUND), predicted * BOUND)
