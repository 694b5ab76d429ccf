"""From a bundle, a tape, profiles and a trace to the rows of a record."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.errors import SettingsError
from offramp.measure.profile import Profile
from offramp.planning.candidates import Candidates
from offramp.planning.cost import CostModel
from offramp.records import Answered, Result
from offramp.tape.reader import Tape
from offramp.units import Seconds
from offramp_evaluation.metrics.outcomes import Outcomes
from offramp_evaluation.metrics.summary import summarise
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.contest import Contestant, contestants
from offramp_evaluation.replay.record import Row
from offramp_evaluation.replay.run import Replayed, replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.traces.trace import Trace


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
    deadline: Seconds = Seconds(1.0)
    drop: float = 0.005
    """Loss of accuracy against the whole network that plans may cost, on the calibration split."""
    subset: str = "test"
    seed: int = 0

    @property
    def duration(self) -> Seconds:
        return Seconds(self.samples / self.rate)

    def contestants(self) -> list[Contestant]:
        model = CostModel(self.candidates, self.device, self.edge)
        return list(
            contestants(
                self.candidates,
                model,
                self.up,
                [entry.codec for entry in self.tape.header.codecs if entry.split == 0],
                rate=self.rate,
                duration=self.duration,
                accuracy_floor=self.candidates.full_accuracy - self.drop,
                deadline=self.deadline,
            )
        )

    def rows(self, progress: Callable[[str], None] = lambda _name: None) -> Iterator[Row]:
        """Replay every contestant over the same samples, arrivals and link."""
        rows_DM = self._choose_rows()
        for contestant in self.contestants():
            progress(contestant.name)
            done = replay(self._scenario(contestant, rows_DM))
            yield self._row(contestant, done)

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
                    name=f"device {number}",
                    rows=rows_M,
                    arrivals=self._arrivals(number),
                    driver=contestant.driver,
                    profile=self.device,
                )
                for number, rows_M in enumerate(rows_DM)
            ),
            edge=self.edge,
            up=self.up,
            down=self.down,
            shared_link=self.shared_link,
            deadline=self.deadline,
        )

    def _arrivals(self, number: int) -> NDArray[np.float64]:
        if self.poisson:
            return arrivals.poisson(self.rate, self.samples, seed=self.seed + number)
        return arrivals.fixed(self.rate, self.samples, phase=number / self.devices)

    def _row(self, contestant: Contestant, done: Replayed) -> Row:
        outcomes = Outcomes.of(done.results)
        started = Counter(str(done.plans[result.revision]) for result in done.results)
        return Row(
            name=contestant.name,
            about=contestant.about,
            deployable=contestant.deployable,
            plans=dict(sorted(started.items())),
            plan_changes=len(done.plans) - self.devices,
            macs=sum(map(partial(self._macs, done), done.results)) / len(done.results),
            edge_seconds=done.edge_seconds,
            late=done.late,
            outcomes=outcomes,
            summary=summarise(outcomes, deadline=self.deadline, duration=self.duration),
        )

    def _macs(self, done: Replayed, result: Result) -> int:
        """Executed on the device: stages up to where the sample left or was sent, and each branch asked on the way."""
        if result.exit is None:
            return 0
        plan = done.plans[result.revision]
        asked = [cut for cut, _ in plan.exit.thresholds]
        # Sent, it went to the split; a branch that stood in for a lost edge was asked on the way there.
        left_early = result.answered is Answered.DEVICE and result.exit in asked
        reached = result.exit if left_early else plan.split
        if result.answered is Answered.DEGRADED:
            reached = max(reached, result.exit)  # it walked on from the split
        stages = sum(stage.macs for stage in self.manifest.stages[:reached])
        branches = sum(
            branch.macs for branch in self.manifest.branches if branch.cut in asked and branch.cut <= reached
        )
        return stages + branches
