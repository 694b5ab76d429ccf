"""Performs the contestants of an experiment for real, one after the other: together they would slow each other down.

    tape ─ samples ─► frames.npz ─► device 0 ═╗
                      frames.npz ─► device 1 ═╬═► shaper, which follows the trace ═► edge
                      frames.npz ─► device 2 ═╝

All are told one moment of the machine's monotonic clock, at which the trace begins and from which arrivals count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.errors import OfframpError, SettingsError
from offramp.measure.profile import write_profile
from offramp.plan import Plan
from offramp.planning.resolve import resolve
from offramp.units import Seconds
from offramp_evaluation.live.heard import Heard
from offramp_evaluation.live.hosts import THREADS, Hosts, slowdown_for
from offramp_evaluation.live.samples import Samples, write_frames
from offramp_evaluation.replay.contest import ORACLE, Contestant
from offramp_evaluation.replay.experiment import Experiment, device_name
from offramp_evaluation.replay.happened import Happened
from offramp_evaluation.road.road import Board, DeviceRun, Road, Source
from offramp_evaluation.shaper.command import PROXY
from offramp_evaluation.shaper.link import Link, Schedule
from offramp_evaluation.traces.steps import to_link_steps

SETTLE = Seconds(2.0)
"""Between the last device's being ready and the cue: connections are made, links are measured, first orders come."""
LEAD = Seconds(0.3)
"""Between the cue and the first moment of the trace: until then every process has heard of it."""
TICK = Seconds(0.02)
PATIENCE = Seconds(30.0)
"""After the last sample's deadline, until devices that have not said their last word are given up."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Live:
    """An experiment, and what it takes to perform it on this machine."""

    experiment: Experiment
    """Planned for `hosts`, not for those of its profiles: see `live_experiment`."""
    bundle: Bundle
    samples: Samples
    slowdown: float
    """Of this machine, to be the board."""
    clock: Clock
    by: str = PROXY
    """What shapes the links, see `offramp shape`."""
    tell: Tell = lambda _text: None

    def perform(self, contestant: Contestant, rows_DM: NDArray[np.intp]) -> Happened:
        """One contestant over all samples, in the time that they take.

        Raises:
            OfframpError: A process ended in the middle or fell silent, or a sample has not exactly one result.
        """
        with TemporaryDirectory(prefix="offramp-live-") as folder:
            board, sources = self._board(contestant, Path(folder)), self._sources(rows_DM, Path(folder))
            return self._run(board, sources, self._plan_of(contestant))

    def _run(self, board: Board, sources: Sequence[Source], plan: Plan | None) -> Happened:
        experiment, heard = self.experiment, Heard(self.bundle.manifest)
        lasting = Seconds(experiment.duration + experiment.wanted.deadline)
        schedule = to_link_steps(experiment.up, experiment.down, lasting=lasting)
        links = 1 if experiment.shared_link else experiment.devices
        with (
            Road(board, _first(schedule), self.clock, links=links, by=self.by) as road,
            road.devices(sources, plan) as devices,
        ):
            for device in devices:
                heard.ready(device.name, device.plan)
            self._listen(road, devices, heard, until=Seconds(self.clock.now() + SETTLE))
            heard.began()
            start = Seconds(self.clock.now() + LEAD)
            road.follow(schedule, start)
            for device in devices:
                device.cue(start)
            self._listen(road, devices, heard, until=Seconds(start + lasting + PATIENCE))
            if len(heard.done) < len(devices):
                silent = next(device.name for device in devices if device.name not in heard.done)
                raise OfframpError(f"{silent} is not done {PATIENCE:g} s after the deadline of its last sample")
        arrivals = {
            (device_name(number), index): float(arrival)
            for number in range(experiment.devices)
            for index, arrival in enumerate(experiment.arrivals_of(number))
        }
        return heard.happened(experiment.down, arrivals)

    def _listen(self, road: Road, devices: Sequence[DeviceRun], heard: Heard, *, until: Seconds) -> None:
        """Until then, or until all have said their last word."""
        while self.clock.now() < until and len(heard.done) < len(devices):
            for device in devices:
                for line in () if device.name in heard.done else device.hear(Seconds(0.0)):
                    heard.take(device.name, line)
                    if device.name in heard.done:
                        break
            road.check()
            self.clock.sleep(TICK)

    def _plan_of(self, contestant: Contestant) -> Plan | None:
        """That it keeps; None: an orchestrator keeps choosing."""
        if not contestant.strategy:
            return contestant.plan
        kind, _, written = contestant.name.partition(":")
        return resolve(written, self.bundle.manifest) if kind == "fixed" else None

    def _board(self, contestant: Contestant, folder: Path) -> Board:
        """With the profiles that were just measured: nobody has to measure them again."""
        experiment = self.experiment
        write_profile(experiment.device, folder / "board.json")
        write_profile(experiment.edge, folder / "edge.json")
        return Board(
            bundle=self.bundle.path,
            slowdown=self.slowdown,
            threads=THREADS,
            profile=folder / "board.json",
            edge_profile=folder / "edge.json",
            objective=str(experiment.wanted),
            strategy=contestant.name if self._plan_of(contestant) is None else None,
        )

    def _sources(self, rows_DM: NDArray[np.intp], folder: Path) -> list[Source]:
        tape, deadline = self.experiment.tape, self.experiment.wanted.deadline
        sources = []
        for number, rows_M in enumerate(rows_DM):
            path, name = folder / f"{number}.npz", device_name(number)
            write_frames(path, self.samples(rows_M), tape.truth_N[rows_M], self.experiment.arrivals_of(number))
            # No shadows: a replay has none.
            flags = ["--source", str(path), "--cue", "--deadline", f"{float(deadline)!r}s", "--shadow", "0"]
            sources.append(Source(name=name, flags=flags))
        return sources


def live_experiment(experiment: Experiment, hosts: Hosts) -> tuple[Experiment, float]:
    """(the experiment as this machine can perform it, the slowdown that makes this machine its board).

    Plans are chosen for the times of this machine. Energy is modelled from what a simulated link carried, and the
    oracle knows the future: neither can be had live.

    Raises:
        SettingsError: It asks for what no live run can tell, or for a board faster than this machine.
    """
    if experiment.wanted.asks_energy:
        raise SettingsError("an objective that counts energy cannot be held live, where nothing measures it; replay it")
    slowdown = slowdown_for(experiment.device, hosts.board)
    baselines = tuple(name for name in experiment.baselines if name != ORACLE)
    if not experiment.strategies and not baselines:
        raise SettingsError("the oracle knows the future, and alone makes no live run; add a strategy or a plan")
    return (
        replace(
            experiment,
            device=hosts.board.slowed(slowdown),
            edge=hosts.edge,
            baselines=baselines,
            energy=None,
        ),
        slowdown,
    )


def _first(schedule: Schedule) -> Link:
    """While everything is started, the first link that is not out: a device that has been there is connected."""
    return next((link for _, link in schedule.steps if not link.is_out), schedule.steps[0][1])
