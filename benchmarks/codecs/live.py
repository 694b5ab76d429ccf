"""One contest for real: an orchestrator that knows one side's codecs, a device, an edge, and a link between them.

    bundle ─► copy with the side's candidates ─► orchestrator ─► plan ─► device ══► shaper ══► edge

The same samples for each side, one side after the other; the board and the link are emulated.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.codecs.sides import RAW, SIDES, WITH, WITHOUT, Bench, Side, against, codecs_of, followed
from benchmarks.harness import say
from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.clock import SystemClock
from offramp.planning.candidates import FILE, write_candidates
from offramp.planning.objective import Objective
from offramp.planning.strategies.catalog import DEFAULT
from offramp_evaluation.live.hosts import measure_hosts
from offramp_evaluation.live.run import Live
from offramp_evaluation.live.samples import Samples, samples_behind
from offramp_evaluation.replay.experiment import Experiment
from offramp_evaluation.replay.record import Row
from offramp_evaluation.shaper.link import parse_schedule
from offramp_evaluation.traces.steps import from_schedule

UNIT = 16
"""Neighbouring samples that count as one where intervals are taken: two seconds."""


def worth_performing(contests: Iterable[Mapping[str, Any]], link: str) -> Mapping[str, Any]:
    """The one over this link in which learned codecs gain most, by its replay; where they gain nothing, all codecs."""
    here = [one for one in contests if one["link"] == link]

    def gained(one: Mapping[str, Any], rival: str) -> float:
        return float(one["against"][rival]["difference"] / one["sides"][rival]["mean"])

    return min(here, key=lambda one: (gained(one, WITHOUT), gained(one, RAW)))


def perform(bench: Bench, bundle: Bundle, data: str, contest: Mapping[str, Any], samples: int) -> dict[str, Any]:
    """Every side of a contest whose plan is another one, over so many test samples."""
    link, board, drop = (contest[name] for name in ("link", "board", "drop"))
    hosts = measure_hosts(bundle, codecs_of(bench.tape), SystemClock())
    up, down = from_schedule(link, parse_schedule(link))
    experiment = Experiment(
        manifest=bundle.manifest,
        candidates=bench.candidates_of(SIDES[0]),
        tape=bench.tape,
        device=hosts.board.slowed(board),
        edge=hosts.edge,
        up=up,
        down=down,
        rate=bench.rate,
        samples=samples,
        strategies=(DEFAULT,),
        baselines=(),
        objective=Objective(drop=drop),
    )
    drawn = samples_behind(bench.tape, data, bundle.manifest.sample.shape)
    rows = {}
    for side in _different(contest):
        say(f"live over {link}: {side.title}")
        rows[side.name] = _row(replace(experiment, candidates=bench.candidates_of(side)), bundle, drawn, board)
    runs = {name: followed(row.outcomes, row.deadline) for name, row in rows.items()}
    unit_N = np.arange(samples) // UNIT
    return {
        "link": link,
        "board": board,
        "drop": drop,
        "samples": samples,
        "sides": {name: run.summary() | {"plans": dict(rows[name].plans)} for name, run in runs.items()},
        "against": {name: against(runs[WITH], run, unit_N) for name, run in runs.items() if name != WITH},
    }


def _different(contest: Mapping[str, Any]) -> list[Side]:
    plans = {name: contest["sides"][name]["plan"] for name in (WITH, WITHOUT, RAW)}
    named = {plan: name for name, plan in reversed(plans.items())}
    return [side for side in SIDES if side.name in named.values()]


def _row(experiment: Experiment, bundle: Bundle, samples: Samples, board: float) -> Row:
    with TemporaryDirectory(prefix="offramp-codecs-") as folder:
        place = Path(folder) / "bundle"
        shutil.copytree(bundle.path, place)
        copy = open_bundle(place)
        write_candidates(experiment.candidates, copy.file(FILE))
        write_manifest(place, copy.manifest)
        live = Live(
            experiment=experiment, bundle=open_bundle(place), samples=samples, slowdown=board, clock=SystemClock()
        )
        (row,) = experiment.rows(perform=live.perform)
        return row
