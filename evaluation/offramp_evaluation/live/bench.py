"""One live run: from an experiment to its record, whole or stopped half-way.

Live ─ row after row ─► rows ─► record, which says that it was measured, and whether all of its rows are there
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock
from offramp.codecs.usual import known_codecs
from offramp.errors import OfframpError, SettingsError
from offramp.tape.reader import Tape, open_tape
from offramp.units import format_seconds
from offramp_evaluation.live.hosts import Hosts, measure_hosts
from offramp_evaluation.live.run import SETTLE, Live, Tell, live_experiment
from offramp_evaluation.live.samples import Samples, samples_behind
from offramp_evaluation.replay.experiment import Experiment
from offramp_evaluation.replay.record import Row, encode_samples, run_metadata
from offramp_evaluation.shaper.command import PROXY, TC, TUN
from offramp_evaluation.sweep.cell import Cell, Network
from offramp_evaluation.sweep.run import Failed, Outcome, Performed, experiment_for

SHAPED = {PROXY: "by a proxy in user space", TUN: "packet by packet in user space", TC: "by the kernel"}
STARTING = 5.0
"""Seconds that it takes to start and end the processes of a row, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a live run came to."""

    experiment: Experiment
    rows: tuple[Row, ...]
    record: dict[str, Any]
    complete: bool
    """False when it was stopped: then the rows that were not done are left out."""

    def performed(self) -> Performed:
        return Performed(record=self.record, samples=encode_samples(self.rows))


def run_live(
    experiment: Experiment, bundle: Bundle, samples: Samples, hosts: Hosts, clock: Clock, tell: Tell, by: str = PROXY
) -> Finished:
    """All rows of an experiment; Ctrl-C ends it with those that are done.

    Raises:
        SettingsError: It asks for what no live run can tell.
        OfframpError: A process ended in the middle or fell silent, or a sample has not exactly one result.
        KeyboardInterrupt: Before any row was done.
    """
    began, started = clock.now(), datetime.now(UTC).isoformat(timespec="seconds")
    if by == TC and experiment.up.delay_T.any():
        raise SettingsError(f"--shape tc shapes the rate alone, and {experiment.up.name} delays; take --shape tun")
    here, slowdown = live_experiment(experiment, hosts)
    live = Live(experiment=here, bundle=bundle, samples=samples, slowdown=slowdown, clock=clock, by=by)
    names = [one.name for one in here.contestants()]
    one = here.duration + SETTLE + STARTING
    tell(f"{len(names)} rows of {format_seconds(here.duration)} each: about {format_seconds(round(len(names) * one))}")
    rows, complete = list[Row](), True
    try:
        for row in here.rows(lambda name: tell(f"live, row {len(rows) + 1} of {len(names)}: {name}"), live.perform):
            rows.append(row)
    except KeyboardInterrupt:
        if not rows:
            raise
        complete = False
    told = {
        "complete": complete,
        "left_out": names[len(rows) :],
        "emulated": [f"the links, {SHAPED[by]}", "how slow the boards are"],
        "slowdown": slowdown,
    }
    record = here.record(rows, told)
    record["run"] = run_metadata(started, clock.now() - began) | {"load": os.getloadavg()[0]}
    return Finished(experiment=here, rows=tuple(rows), record=record, complete=complete)


class LiveBench:
    """Performs the cells of a scenario live; `keep` is given what there is of one that is stopped."""

    def __init__(self, clock: Clock, tell: Tell, keep: Callable[[Cell, Performed], None], by: str = PROXY) -> None:
        self._clock, self._tell, self._keep, self._by = clock, tell, keep, by
        self._known: dict[str, tuple[Bundle, Tape, Samples, Hosts]] = {}

    def perform(self, cell: Cell) -> Outcome:
        """
        Raises:
            KeyboardInterrupt: It was stopped.
        """
        try:
            finished = self._perform(cell)
        except OfframpError as error:
            return Failed(reason=str(error))
        finished.record["axes"] = dict(cell.axes)
        if not finished.complete:
            self._keep(cell, finished.performed())
            raise KeyboardInterrupt
        return finished.performed()

    def _perform(self, cell: Cell) -> Finished:
        if cell.edge_slowdown != 1.0:
            raise SettingsError(
                f"the edge runs live as fast as this machine does; leave edge.slowdown = {cell.edge_slowdown:g} out"
            )
        network = cell.network
        if network.key not in self._known:
            self._known[network.key] = self._open(network)
        bundle, tape, samples, hosts = self._known[network.key]
        return run_live(experiment_for(cell, bundle, tape), bundle, samples, hosts, self._clock, self._tell, self._by)

    def _open(self, network: Network) -> tuple[Bundle, Tape, Samples, Hosts]:
        if not network.data:
            raise SettingsError(
                f"live, devices look at the samples themselves, which are not on the tape of {network.name}: say where "
                "they are, such as network.data = 'cifar10:PATH'"
            )
        bundle, tape = open_bundle(network.bundle, check=False), open_tape(network.tape)
        return bundle, tape, *sources_of(bundle, tape, network.data, self._clock, self._tell)


def sources_of(bundle: Bundle, tape: Tape, data: str, clock: Clock, tell: Tell) -> tuple[Samples, Hosts]:
    """(the samples behind a tape, what this machine takes for the bundle)."""
    samples = samples_behind(tape, data, bundle.manifest.sample.shape)
    tell("timing the bundle on this machine")
    return samples, measure_hosts(bundle, known_codecs(bundle.manifest), clock)
