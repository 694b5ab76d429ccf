"""From a bundle, a tape, profiles and a trace to the rows of a record."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.jsonform import to_json
from offramp.bundle.manifest import Manifest
from offramp.errors import SettingsError
from offramp.measure.energy import EnergyModel
from offramp.measure.profile import Profile
from offramp.planning.candidates import Candidates
from offramp.planning.objective import Objective
from offramp.planning.strategies.strategy import Grounds
from offramp.records import Answered, Result, Revision
from offramp.tape.reader import Tape
from offramp.units import Seconds
from offramp_evaluation.metrics.classification import accuracy
from offramp_evaluation.metrics.outcomes import Outcomes
from offramp_evaluation.metrics.prediction import PredictionError, prediction_error
from offramp_evaluation.metrics.summary import summarise
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.contest import BASELINES, ORACLE, STRATEGIES, Contestant, Load, contestants
from offramp_evaluation.replay.course import course_of
from offramp_evaluation.replay.drivers import StandingClock
from offramp_evaluation.replay.happened import Happened
from offramp_evaluation.replay.record import Row, record_of
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.traces.statistics import describe
from offramp_evaluation.traces.trace import Trace

Perform = Callable[[Contestant, NDArray[np.intp]], Happened]
"""What performs a contestant over [D, M] rows of the tape, those of each device."""
MEASURED = 5
"""Samples that a stretch must have for its mean to say something."""
BLOCK = 5.0
"""Seconds of neighbouring samples that count as one unit in comparisons."""
IN_STEP = 0.1
"""Standard deviation of the gaps between arrivals, relative to their mean, up to which they are called regular."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Everything that the rows of one record share."""

    manifest: Manifest
    candidates: Candidates
    tape: Tape
    device: Profile
    edge: Profile
    up: Trace
    down: Trace
    rate: float
    """Samples per second and device."""
    samples: int
    """Of each device."""
    devices: int = 1
    shared_link: bool = False
    poisson: bool = False
    arrivals: NDArray[np.float64] | None = None
    """[M or more] recorded ones, the same for each device, instead of the rate's."""
    strategies: tuple[str, ...] = STRATEGIES
    """Names in the catalogue."""
    baselines: tuple[str, ...] = BASELINES
    """Which of them stand beside the strategies."""
    energy: EnergyModel | None = None
    deadline: Seconds = Seconds(1.0)
    drop: float = 0.005
    """Loss of accuracy against the whole network that plans may cost, on the calibration split."""
    objective: Objective | None = None
    """Instead of the least latency within `drop` and `deadline`."""
    subset: str = "test"
    seed: int = 0
    stack: Seconds = Seconds(0.0)
    """What sockets and threads add to a simulated round trip, see `Scenario`."""
    overhead: Seconds = Seconds(0.0)
    """What a source adds to a simulated sample, see `Scenario`."""

    @property
    def wanted(self) -> Objective:
        return self.objective or Objective(drop=self.drop, deadline=self.deadline)

    @property
    def duration(self) -> Seconds:
        recorded = self.arrivals
        return Seconds(self.samples / self.rate if recorded is None else float(recorded[self.samples - 1]))

    def contestants(self) -> list[Contestant]:
        clock = StandingClock()
        grounds = Grounds(
            manifest=self.manifest,
            candidates=self.candidates,
            device=self.device,
            edge=self.edge,
            clock=clock,
            objective=self.wanted,
            energy=self.energy,
            seed=self.seed,
        )
        inputs = [entry.codec for entry in self.tape.header.codecs if entry.split == 0]
        return list(contestants(grounds, clock, self.up, inputs, self.load(), self.strategies, self.baselines))

    @property
    def block(self) -> int:
        """Neighbouring samples that count as one unit in comparisons."""
        return max(1, round(self.rate * BLOCK))

    def inputs(self) -> dict[str, Any]:
        """What the rows depend on, as a record tells it."""
        rhythm = "poisson" if self.poisson else "fixed"
        return {
            "bundle": self.manifest.name,
            "model_digest": self.manifest.model_digest,
            "tape_digest": self.tape.digest(),
            "subset": self.subset,
            "trace": self.up.name,
            "trace_statistics": to_json(describe(self.up)),
            "device": _host(self.device),
            "edge": _host(self.edge),
            "rate": self.rate,
            "samples": self.samples,
            "devices": self.devices,
            "shared_link": self.shared_link,
            "arrivals": rhythm if self.arrivals is None else "recorded",
            "strategies": list(self.strategies),
            "baselines": list(self.baselines),
            "energy": None if self.energy is None else self.energy.label,
            "objective": str(self.wanted),
            "deadline": float(self.wanted.deadline),
            "drop": self.wanted.drop,
            "seed": self.seed,
        }

    def load(self) -> Load:
        return Load(
            rate=self.rate,
            regular=not self.poisson and (self.arrivals is None or _in_step(self.arrivals)),
            duration=self.duration,
        )

    def rows(
        self, progress: Callable[[str], None] = lambda _name: None, perform: Perform | None = None
    ) -> Iterator[Row]:
        """Every contestant over the same samples, arrivals and link: replayed, unless something else performs it.

        The oracle comes last, and is never worse than a row before it that is as accurate: whoever knows the future
        would have done the same.
        """
        rows_DM, perform = self._choose_rows(), self._replay if perform is None else perform
        floor, done = self._floor(rows_DM), list[Row]()
        for contestant in self.contestants():
            progress(contestant.name)
            row = self._row(contestant, perform(contestant, rows_DM))
            if contestant.name == ORACLE:
                row = _best_of(row, done, floor)
            done.append(row)
            yield row

    def record(self, rows: Sequence[Row], live: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What `rows` gave, as a record without its `run`; see `record_of`."""
        return record_of(
            rows,
            self.inputs(),
            against=next((row.name for row in rows if row.strategy), rows[0].name),
            block=self.block,
            labels=self.manifest.labels,
            link=self.up,
            energy=None if self.energy is None else self.energy.label,
            live=live,
        )

    def arrivals_of(self, number: int) -> NDArray[np.float64]:
        """[M] seconds since the start at which the samples of a device arrive."""
        if self.arrivals is not None:
            return self.arrivals[: self.samples]
        if self.poisson:
            return arrivals.poisson(self.rate, self.samples, seed=self.seed + number)
        return arrivals.fixed(self.rate, self.samples, phase=number / self.devices)

    def _replay(self, contestant: Contestant, rows_DM: NDArray[np.intp]) -> Happened:
        return replay(self._scenario(contestant, rows_DM))

    def _floor(self, rows_DM: NDArray[np.intp]) -> float:
        """Accuracy that the whole network reaches on these samples, less what may be lost and as much again.

        A few hundred samples cannot tell a loss of half a point from one of a whole.
        """
        truth_N, drop = self.tape.truth_N[rows_DM.ravel()], self.wanted.drop
        if drop is None:
            return self.wanted.accuracy or 0.0
        return accuracy(self.tape.final().label_N[rows_DM.ravel()], truth_N) - 2 * drop

    def _choose_rows(self) -> NDArray[np.intp]:
        """[D, M] which rows of the tape each device sees: runs of neighbours, as a camera delivers them."""
        found = self.tape.rows(self.subset)
        all_rows = np.arange(len(self.tape))[found]
        if len(all_rows) == 0:
            raise SettingsError(f"{self.tape.path} holds no {self.subset} samples")
        starts = np.random.default_rng(self.seed).integers(0, len(all_rows), self.devices)
        if self.devices == 1 and self.samples >= len(all_rows):
            starts[:] = 0
        places_DM = (starts[:, None] + np.arange(self.samples)[None, :]) % len(all_rows)
        return np.asarray(all_rows[places_DM], dtype=np.intp)

    def _scenario(self, contestant: Contestant, rows_DM: NDArray[np.intp]) -> Scenario:
        return Scenario(
            tape=self.tape,
            manifest=self.manifest,
            devices=tuple(
                DeviceScript(
                    name=device_name(number),
                    rows=rows_M,
                    arrivals=self.arrivals_of(number),
                    driver=contestant.drive(),
                    profile=self.device,
                )
                for number, rows_M in enumerate(rows_DM)
            ),
            edge=self.edge,
            up=self.up,
            down=self.down,
            shared_link=self.shared_link,
            deadline=self.wanted.deadline,
            stack=self.stack,
            overhead=self.overhead,
        )

    def _row(self, contestant: Contestant, done: Happened) -> Row:
        outcomes, deadline = Outcomes.of(done.results), self.wanted.deadline
        started = Counter(str(done.plans[result.revision]) for result in done.results)
        return Row(
            name=contestant.name,
            about=contestant.about,
            deployable=contestant.deployable,
            plans=dict(sorted(started.items())),
            plan_changes=len(done.plans) - self.devices,
            strategy=contestant.strategy,
            macs=sum(map(partial(self._macs, done), done.results)) / len(done.results),
            edge_seconds=done.edge_seconds,
            late=done.late,
            deadline=deadline,
            outcomes=outcomes,
            summary=summarise(outcomes, deadline=deadline, duration=self.duration),
            course=course_of(done, {device_name(number): self.arrivals_of(number) for number in range(self.devices)}),
            joules=None if self.energy is None else _joules(self.energy, done),
            prediction=_prediction(done, deadline) if contestant.strategy else None,
        )

    def _macs(self, done: Happened, result: Result) -> int:
        """Executed on the device: stages up to where the sample left or was sent, and each branch asked on the way."""
        if result.exit is None:
            return 0
        plan = done.plans[result.revision]
        asked = plan.exit.asked
        # Sent, it went to the split; a branch that stood in for a lost edge was asked on the way there.
        left_early = result.answered is Answered.DEVICE and result.exit in asked
        reached = result.exit if left_early else plan.split
        if result.answered is Answered.DEGRADED:
            reached = max(reached, result.exit)  # it walked on from the split
        stages = self.manifest.macs_between(0, reached)
        if plan.via and not left_early:  # and back out of the code, where it walked on from there
            bottleneck = self.manifest.bottleneck(plan.via)
            stages = self.manifest.macs_between(0, plan.split) + bottleneck.encoder_macs
            if reached > plan.split:
                stages += bottleneck.tail_macs - self.manifest.macs_between(reached, self.manifest.end)
        branches = sum(
            branch.macs for branch in self.manifest.branches if branch.cut in asked and branch.cut <= reached
        )
        return stages + branches


def device_name(number: int) -> str:
    """Of the streams in a record."""
    return f"device {number}"


def _host(profile: Profile) -> dict[str, Any]:
    return {"host": profile.host, "threads": profile.threads, "slowdown": profile.slowdown}


def _in_step(arrivals: NDArray[np.float64]) -> bool:
    gaps = np.diff(arrivals)
    return len(gaps) > 0 and float(np.std(gaps)) < IN_STEP * float(np.mean(gaps))


def _best_of(oracle: Row, others: list[Row], floor: float) -> Row:
    """The oracle's own run, or that of a faster row which is accurate enough, under the oracle's name."""
    rivals = [row for row in others if row.summary.accuracy >= floor]
    best = min(rivals, key=lambda row: row.mean, default=oracle)
    if best.mean >= oracle.mean:
        return oracle
    about = f"as {best.name}: nothing that knows the next second did better; not deployable"
    return replace(best, name=oracle.name, about=about, deployable=False, strategy=True, prediction=oracle.prediction)


def _joules(model: EnergyModel, done: Happened) -> float:
    """On the device, of an average sample: pings and probes are spread over all."""
    computed = sum(item.timings.head + item.timings.encode + item.timings.fallback for item in done.results)
    total = model.joules(
        compute=computed,
        up_bytes=done.up.nbytes,
        up_seconds=done.up.on_air,
        down_bytes=done.down.nbytes,
        down_seconds=done.down.on_air,
    )
    return float(total) / len(done.results)


def _prediction(done: Happened, deadline: Seconds) -> PredictionError:
    """Over the stretches from one change of plan to the next; the mean forecast of each, against what came."""
    came: dict[Revision, list[float]] = {}
    for result in done.results:
        rejected = result.answered is Answered.REJECTED
        came.setdefault(result.revision, []).append(deadline if rejected else result.latency)
    pairs = [
        (float(np.mean([forecast.mean for forecast in forecasts])), float(np.mean(came[revision])))
        for revision, forecasts in done.forecasts.items()
        if len(came.get(revision, ())) >= MEASURED
    ]
    return prediction_error([predicted for predicted, _ in pairs], [measured for _, measured in pairs])
