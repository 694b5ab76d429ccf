"""One run: from a cell to its record, wherever it is performed.

Cell ─► Bench (opens a bundle and its tape once, and keeps them) ─► Performed, or Failed
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import SystemClock
from offramp.errors import OfframpError
from offramp.measure.energy import RADIOS, EnergyModel
from offramp.planning.candidates import read_candidates
from offramp.planning.objective import parse_objective
from offramp.tape.reader import Tape, open_tape
from offramp_evaluation.replay.experiment import Experiment
from offramp_evaluation.replay.record import encode_samples, run_metadata
from offramp_evaluation.sweep.cell import Cell, Network

OPENED = 4
"""Networks that a worker keeps open: columns of a large tape take memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """A run and its record."""

    record: dict[str, Any]
    samples: bytes
    """Parquet: every sample of every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A run without one."""

    reason: str
    trace: str = ""
    """Where in the code, when it was not meant to happen."""


Outcome = Performed | Failed
Open = Callable[[Network], tuple[Bundle, Tape]]


def open_here(network: Network) -> tuple[Bundle, Tape]:
    """From its files; whoever read the scenario has checked them."""
    return open_bundle(network.bundle, check=False), open_tape(network.tape)


class Bench:
    """Performs one run after the other."""

    def __init__(self, opener: Open = open_here) -> None:
        self._open = opener
        self._opened: dict[str, tuple[Bundle, Tape]] = {}

    def perform(self, cell: Cell) -> Outcome:
        """Never raises but for what ends a process: a run that fails is an outcome, not the end of a sweep."""
        try:
            return self._perform(cell)
        except OfframpError as error:
            return Failed(reason=str(error))
        except Exception as error:
            return Failed(reason=f"{type(error).__name__}: {error}", trace=traceback.format_exc())

    def _perform(self, cell: Cell) -> Performed:
        clock, started = SystemClock(), datetime.now(UTC).isoformat(timespec="seconds")
        before = clock.now()
        experiment = experiment_for(cell, *self._network(cell.network))
        rows = list(experiment.rows())
        record = experiment.record(rows)
        record["axes"] = dict(cell.axes)
        record["run"] = run_metadata(started, clock.now() - before)
        return Performed(record=record, samples=encode_samples(rows))

    def _network(self, network: Network) -> tuple[Bundle, Tape]:
        if network.key not in self._opened:
            while len(self._opened) >= OPENED:
                del self._opened[next(iter(self._opened))]
            self._opened[network.key] = self._open(network)
        return self._opened[network.key]


def experiment_for(cell: Cell, bundle: Bundle, tape: Tape) -> Experiment:
    """What a cell says, over its opened network."""
    network, objective = cell.network, parse_objective(cell.objective)
    energy = None if cell.power is None else EnergyModel(compute_w=cell.power, radio=RADIOS[cell.radio])
    experiment = Experiment(
        manifest=bundle.manifest,
        candidates=read_candidates(bundle).of_head(tape.header.head),
        tape=tape,
        device=network.device if cell.slowdown == 1.0 else network.device.slowed(cell.slowdown),
        edge=network.edge if cell.edge_slowdown == 1.0 else network.edge.slowed(cell.edge_slowdown),
        up=cell.link.up,
        down=cell.link.down,
        rate=cell.rate,
        samples=cell.samples,
        devices=cell.devices,
        shared_link=cell.shared,
        poisson=cell.arriving.name == "poisson",
        strategies=cell.strategies,
        baselines=cell.baselines,
        energy=energy,
        objective=objective,
        subset=network.subset,
        seed=cell.seed,
    )
    times = cell.arriving.times
    if times is None:
        return experiment
    return replace(experiment, arrivals=times, rate=(cell.samples - 1) / float(times[cell.samples - 1]))
