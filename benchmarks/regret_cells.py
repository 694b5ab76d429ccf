"""One cell of `benchmarks.regret`: one trace, one board and one run of samples, under every strategy and the oracle.

Deployed code on the replay clock: SIMULATED.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from offramp.bundle.store import open_bundle
from offramp.measure.profile import Profile, read_profile
from offramp.planning.candidates import read_candidates
from offramp.planning.objective import Objective
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Grounds
from offramp.tape.reader import Tape, open_tape
from offramp.units import Seconds
from offramp_evaluation.metrics.classification import accuracy
from offramp_evaluation.metrics.outcomes import Outcomes
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.contest import Load, strategic
from offramp_evaluation.replay.drivers import Driver, Fixed, Foreseeing, StandingClock
from offramp_evaluation.replay.happened import Happened
from offramp_evaluation.replay.hindsight import Hindsight
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.static import StaticReplay
from offramp_evaluation.traces.formats import read_trace
from offramp_evaluation.traces.operations import cut, repeat
from offramp_evaluation.traces.trace import Trace

CONFIRMED = 3
"""Static plans that are replayed event by event, after all of them were replayed statically."""
DELAY = Seconds(0.02)
"""One way, of traces that carry none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all cells share."""

    strategies: tuple[str, ...]
    seconds: float
    rate: float
    period: float
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A bundle with its tape and the profile of an unslowed host."""

    bundle: Path
    tape: Path
    profile: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    subject: Subject
    slowdown: float
    trace: Path
    name: str
    """Of the trace, within its folder."""
    seed: int


def compute(cell: Cell, setting: Setting) -> dict[str, Any]:
    """One trace, one board, one run of samples: every row's numbers."""
    bench = _bench(cell.subject, cell.slowdown, cell.seed, setting)
    trace, period = lasting(read_trace(cell.trace), setting.seconds), Seconds(setting.period)
    runs: dict[str, dict[str, Any]] = {}
    for name in setting.strategies:
        contestant = strategic(name, bench.grounds, bench.clock, bench.load, period)
        runs[name] = _run(bench, contestant.drive(), trace)
    static = {str(plan): _run(bench, Fixed(plan), trace) for plan in bench.hindsight.best(trace, trace, CONFIRMED)}
    best = _fastest(static, bench.floor)
    runs["best static plan"] = static[best] | {"plan": best}
    told = Foreseeing(open_strategy("search", bench.grounds), trace, rate=setting.rate, period=period)
    tried = runs | {"told": _run(bench, told, trace)}
    winner = _fastest(tried, bench.floor)
    runs["oracle"] = tried[winner] | {"by": winner}
    return {
        "bundle": str(cell.subject.bundle),
        "slowdown": cell.slowdown,
        "trace": cell.name,
        "seed": cell.seed,
        "floor": bench.floor,
        "runs": runs,
    }


def lasting(trace: Trace, seconds: float) -> Trace:
    """The first so many seconds; a shorter one is repeated."""
    trace = trace if trace.delay_T.any() else trace.delayed(DELAY)
    if trace.duration < seconds:
        trace = repeat(trace, int(np.ceil(seconds / trace.duration)))
    return cut(trace, stop=Seconds(seconds)) if trace.duration > seconds else trace


@cache
def open_tape_once(path: Path) -> Tape:
    return open_tape(path)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bench:
    """Everything of a bundle, a board and a seed that does not depend on the trace."""

    grounds: Grounds
    clock: StandingClock
    tape: Tape
    hindsight: Hindsight
    rows: Any
    arrivals: Any
    load: Load
    floor: float


@cache
def _bench(subject: Subject, slowdown: float, seed: int, setting: Setting) -> _Bench:
    bundle, tape = open_bundle(subject.bundle), open_tape_once(subject.tape)
    edge: Profile = read_profile(subject.profile)
    board = edge if slowdown == 1.0 else edge.slowed(slowdown)
    clock, objective = StandingClock(), Objective(drop=setting.drop)
    candidates = read_candidates(bundle)
    grounds = Grounds(
        manifest=bundle.manifest,
        candidates=candidates,
        device=board,
        edge=edge,
        clock=clock,
        objective=objective,
        seed=seed,
    )
    count = round(setting.seconds * setting.rate)
    times = arrivals.fixed(setting.rate, count)
    test = np.arange(len(tape))[tape.rows("test")]
    start = int(np.random.default_rng(seed).integers(len(test)))
    rows = test[(start + np.arange(count)) % len(test)]
    plans = [item.plan() for item in candidates.candidates if objective.holds(item.accuracy_low, item.loss_high)]
    plans += [item.plan() for item in candidates.candidates if item.codec == "none" and not item.exit.thresholds]
    static = StaticReplay(tape, bundle.manifest, board, edge, deadline=objective.deadline)
    return _Bench(
        grounds=grounds,
        clock=clock,
        tape=tape,
        hindsight=Hindsight(static, list(dict.fromkeys(plans)), rows, times, deadline=objective.deadline),
        rows=rows,
        arrivals=times,
        load=Load(rate=setting.rate, regular=True, duration=Seconds(setting.seconds)),
        floor=accuracy(tape.final().label_N[rows], tape.truth_N[rows]) - 2 * setting.drop,
    )


def _run(bench: _Bench, driver: Driver, trace: Trace) -> dict[str, Any]:
    grounds = bench.grounds
    device = DeviceScript(name="board", rows=bench.rows, arrivals=bench.arrivals, driver=driver, profile=grounds.device)
    done = replay(
        Scenario(
            tape=bench.tape,
            manifest=grounds.manifest,
            devices=(device,),
            edge=grounds.edge,
            up=trace,
            down=trace,
            deadline=grounds.objective.deadline,
        )
    )
    return _summary(done, grounds.objective.deadline)


def _summary(done: Happened, deadline: Seconds) -> dict[str, Any]:
    table = Outcomes.of(done.results)
    latency_N = np.where(table.label_N >= 0, table.latency_N, deadline)
    return {
        "mean": float(latency_N.mean()),
        "p95": float(np.quantile(latency_N, 0.95)),
        "accuracy": accuracy(table.label_N, table.truth_N),
        "wire_bytes": float(table.wire_N.mean()),
        "changes": len(done.plans) - 1,
    }


def _fastest(runs: Mapping[str, Mapping[str, Any]], floor: float) -> str:
    """Of those that are accurate enough; of all, when none is."""
    accurate = [name for name, run in runs.items() if run["accuracy"] >= floor]
    return min(accurate or runs, key=lambda name: runs[name]["mean"])
