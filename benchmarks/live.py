"""Eight devices live behind one uplink and one edge, and the replay of the same scenario: how far apart are they?

    samples ─► 8 × device ─► shaper ─► edge       processes of this machine, emulated boards
    tape    ─► replay                             the same samples, arrivals, link and plans, times from this machine

Rows: every picture sent whole, a plan with exits, and a strategy that keeps choosing, told by an orchestrator.

A first live run of one device over a link that costs nothing tells what a replay cannot know: `overhead` and `stack`,
see `benchmarks.fidelity`. This machine is timed before and after each live row, and the replay takes the mean: machines
drift.
"""

import os
import sys
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.fidelity import between
from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock, SystemClock
from offramp.codecs.usual import known_codecs
from offramp.measure.profile import read_profile
from offramp.planning.candidates import read_candidates
from offramp.tape.reader import open_tape
from offramp.units import Seconds
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
from offramp_evaluation.live.hosts import Hosts, measure_hosts
from offramp_evaluation.live.run import Live
from offramp_evaluation.live.samples import Samples, samples_behind
from offramp_evaluation.replay.course import STEPS
from offramp_evaluation.replay.experiment import Experiment
from offramp_evaluation.replay.record import Row
from offramp_evaluation.shaper.link import parse_schedule
from offramp_evaluation.traces.steps import from_schedule

DEVICES, SAMPLES, RATE = 8, 120, 4.0
LINK, FREE = "2mbit,20ms", "1gbit,0ms"
WHOLE = "split=0, codec=jpeg:75"
OFF = 0.15
"""How far the mean of a replay may be off, relative to live."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=DEVICES, help=f"default: {DEVICES}")
    parser.add_argument("--samples", type=int, help=f"of each device (default: {SAMPLES})")
    parser.add_argument("--slowdown", type=float, default=30.0, help="of the emulated boards (default: 30)")
    arguments = parser.parse_args()
    samples = arguments.samples or (SAMPLES // 4 if arguments.quick else SAMPLES)
    bundle = open_bundle(DEMO_BUNDLE)
    last = max(branch.cut for branch in bundle.manifest.branches)
    rows = {
        "whole pictures": f"fixed:{WHOLE}",
        "exits": f"fixed:split={last}, exit=confidence:0.9, codec=affine8+zstd",
        "strategy": "steady:search",
    }
    study = study_of(bundle, arguments.devices, samples, arguments.slowdown).calibrated()
    claims, details = list[Claim](), dict[str, object]()
    details |= {"overhead_s": study.experiment.overhead, "stack_s": study.experiment.stack}
    for name, strategy in rows.items():
        before, load = study.hosts(), os.getloadavg()[0]
        real = study.live(strategy, before)
        simulated = study.replayed(strategy, between(before, study.hosts()))
        claims += compare(name, simulated, real, arguments.devices * samples)
        details[name] = {"strategy": strategy, "load": load} | {
            side: {"mean": row.mean, "p95": row.summary.latency.p95, "answered": dict(row.summary.answered)}
            for side, row in (("live", real), ("replayed", simulated))
        }
    return report("live", claims, details, arguments)


@dataclass(frozen=True, slots=True)
class Study:
    """One scenario, live and replayed."""

    bundle: Bundle
    samples: Samples
    slowdown: float
    experiment: Experiment
    """Its hosts are those of the moment."""
    clock: Clock

    def hosts(self) -> Hosts:
        found = measure_hosts(self.bundle, known_codecs(self.bundle.manifest), self.clock)
        return replace(found, board=found.board.slowed(self.slowdown))

    def calibrated(self) -> "Study":
        """Knowing what a source and the stack take: seen with one device over a link that costs nothing."""
        up, down = from_schedule(FREE, parse_schedule(FREE))
        alone = replace(self, experiment=replace(self.experiment, up=up, down=down, devices=1))
        before = alone.hosts()
        real = alone.live(f"fixed:{WHOLE}", before)
        overhead = Seconds(float(np.median(real.course.steps_NS[:, STEPS.index("wait")])))
        waiting = replace(alone, experiment=replace(alone.experiment, overhead=overhead))
        bare = waiting.replayed(f"fixed:{WHOLE}", between(before, alone.hosts()))
        stack = Seconds(max(real.summary.latency.p50 - bare.summary.latency.p50, 0.0))
        return replace(self, experiment=replace(self.experiment, overhead=overhead, stack=stack))

    def live(self, strategy: str, hosts: Hosts) -> Row:
        """Raises when a sample has not exactly one result."""
        experiment = self._planned(strategy, hosts)
        live = Live(
            experiment=experiment, bundle=self.bundle, samples=self.samples, slowdown=self.slowdown, clock=self.clock
        )
        (row,) = experiment.rows(perform=live.perform)
        return row

    def replayed(self, strategy: str, hosts: Hosts) -> Row:
        (row,) = self._planned(strategy, hosts).rows()
        return row

    def _planned(self, strategy: str, hosts: Hosts) -> Experiment:
        return replace(self.experiment, strategies=(strategy,), device=hosts.board, edge=hosts.edge)


def study_of(bundle: Bundle, devices: int, samples: int, slowdown: float) -> Study:
    clock, tape = SystemClock(), open_tape(DEMO_TAPE)
    up, down = from_schedule(LINK, parse_schedule(LINK))
    shipped = read_profile(DEMO_PROFILE)  # until this machine has been timed
    experiment = Experiment(
        manifest=bundle.manifest,
        candidates=read_candidates(bundle),
        tape=tape,
        device=shipped,
        edge=shipped,
        up=up,
        down=down,
        rate=RATE,
        samples=samples,
        devices=devices,
        shared_link=True,
        baselines=(),
    )
    drawn = samples_behind(tape, tape.header.data, bundle.manifest.sample.shape)
    return Study(bundle, drawn, slowdown, experiment, clock)


def compare(name: str, simulated: Row, real: Row, asked: int) -> list[Claim]:
    found = {*zip(real.outcomes.stream_N.tolist(), real.outcomes.index_N.tolist(), strict=True)}
    detail = f"replayed {1e3 * simulated.mean:.1f} ms, live {1e3 * real.mean:.1f} ms"
    off = abs(simulated.mean / real.mean - 1)
    told = ", ".join(f"{100 * real.summary.answered[kind]:.0f}" for kind in ("device", "edge", "degraded", "rejected"))
    return [
        Claim(name=f"{name}: mean off by", found=off, limit=OFF, unit="", detail=detail),
        Claim(
            name=f"{name}: samples without a result of their own",
            found=float(asked - len(found) + len(real.outcomes) - len(found)),
            limit=0,
            unit="",
            detail=f"of {asked}; device, edge, degraded, rejected: {told} %",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
