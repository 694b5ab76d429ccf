"""Does a replay tell what really happens? The same frames live and replayed, in six scenarios.

    frames ─► device ─► shaper ─► edge        real processes and sockets, an emulated board
    frames ─► tape ─► replay                  the same plan, link and arrivals, times from profiles taken around it

two bandwidths × two plans, a link that steps, an outage

A first live run over a link that costs nothing tells what a replay cannot know: `overhead`, from a sample's arrival
until its first stage begins with nothing waiting, and `stack`, what sockets, threads and serialisation add to a round
trip. Every scenario is profiled before and after its live run, and replayed with the mean of both: machines drift.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import SystemClock
from offramp.data.camera import camera_frames
from offramp.data.catalog import load
from offramp.data.dataset import Part
from offramp.measure.profile import Cost, Profile
from offramp.plan import Plan
from offramp.planning.resolve import resolve
from offramp.records import Answered
from offramp.tape.reader import Tape, open_tape
from offramp.units import Seconds
from offramp_evaluation.assets import DEMO_BUNDLE
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.run import run_one
from offramp_evaluation.demo.screen import SilentScreen
from offramp_evaluation.demo.script import Phase, Script
from offramp_evaluation.live.hosts import Hosts, measure_hosts
from offramp_evaluation.metrics.intervals import wilson
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Fixed
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.road.road import Board, Road
from offramp_evaluation.shaper.link import Schedule, parse_link
from offramp_evaluation.traces.steps import from_schedule

PHASE, RATE = Seconds(6.0), 8.0
LINKS = {
    "none": ("1gbit,0ms",),
    "10 Mbit/s": ("10mbit,10ms",) * 3,
    "1 Mbit/s": ("1mbit,20ms",) * 3,
    "stepping": ("10mbit,10ms", "1mbit,20ms", "10mbit,10ms"),
    "outage": ("10mbit,10ms", "outage", "10mbit,10ms"),
}
MEAN, P95 = 0.10, 0.20
"""How far a replay may be off, relative to live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one side says about a scenario."""

    mean: float
    p50: float
    p95: float
    accuracy: float
    exits: dict[str, float]
    wait: float = 0.0
    """Median seconds from arrival to the first stage."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=DEMO_BUNDLE, help="default: the shipped demo")
    parser.add_argument("--frames", type=Path, help="x and y in an .npz (default: of --data)")
    parser.add_argument("--data", metavar="SPEC", help="its test part, such as cifar10:DIR (default: camera-digits)")
    parser.add_argument("--slowdown", type=float, default=30.0, help="of the emulated board (default: 30)")
    parser.add_argument("--exits", default="confidence:0.9", help="of the plan with exits (default: confidence:0.9)")
    arguments = parser.parse_args()
    bundle, clock = open_bundle(arguments.bundle), SystemClock()
    manifest = bundle.manifest
    last = max(branch.cut for branch in manifest.branches)
    with_exits = resolve(f"split={last}, exit={arguments.exits}, codec=affine8+zstd", manifest)
    whole_input = resolve("split=0, codec=jpeg:75", manifest)
    scenarios = [("10 Mbit/s", with_exits), ("1 Mbit/s", with_exits), ("10 Mbit/s", whole_input)]
    scenarios += [("1 Mbit/s", whole_input), ("stepping", with_exits), ("outage", with_exits)]
    claims, details = list[Claim](), dict[str, object]()
    with tempfile.TemporaryDirectory() as folder:
        frames = write_frames(Path(folder) / "frames.npz", arguments.frames, arguments.data)
        tape = record(bundle, frames, Path(folder) / "fidelity.tape")
        codecs = {plan.split: [plan.codec] for plan in (with_exits, whole_input)}
        study = Study(bundle, frames, tape, codecs, arguments.slowdown, clock)
        overhead, stack = study.calibrate(whole_input)
        details |= {"overhead_s": overhead, "stack_s": stack}
        for link, plan in scenarios:
            name = f"{link}, {'exits' if plan.exit.thresholds else 'whole input'}"
            before = study.profile()
            real = study.live(plan, link)
            simulated = study.replayed(plan, link, between(before, study.profile()), overhead, stack)
            claims += compare(name, simulated, real)
            details[name] = {"replayed": vars_of(simulated), "live": vars_of(real), "plan": str(plan)}
    return report("fidelity", claims, details, arguments)


def script_of(link: str) -> Script:
    return Script(
        seconds=PHASE, rate=RATE, phases=tuple(Phase(name=text, link=parse_link(text)) for text in LINKS[link])
    )


def write_frames(path: Path, given: Path | None, data: str | None) -> Path:
    """As many as a run has, as a file that both sides read; the shipped bundle has never seen those that are drawn."""
    count = script_of("stepping").frames
    if given is not None or data is not None:
        found = load(data or f"npz:{given}")
        test = found.take(found.part_N == Part.TEST) if np.any(found.part_N == Part.TEST) else found
        again = np.arange(count) % len(test)
        np.savez(path, x=np.asarray(test.samples)[again], y=test.truth_N[again])
    else:
        drawn = list(islice(camera_frames(seed=7), count))
        np.savez(path, x=np.stack([frame.image for frame in drawn]), y=np.array([frame.truth for frame in drawn]))
    return path


def record(bundle: Bundle, frames: Path, tape: Path) -> Tape:
    command = [sys.executable, "-m", "offramp.cli", "evaluate", "record", "--bundle", str(bundle.path)]
    command += ["--data", f"npz:{frames}", "--subset", "all", "--codecs", "affine8+zstd,jpeg:75", "--no-screen"]
    subprocess.run([*command, "--jobs", "1", "--out", str(tape)], check=True, capture_output=True)
    return open_tape(tape)


@dataclass(frozen=True, slots=True)
class Study:
    """One bundle over one set of frames, live and replayed."""

    bundle: Bundle
    frames: Path
    tape: Tape
    codecs: dict[int, list[str]]
    slowdown: float
    clock: SystemClock

    def calibrate(self, plan: Plan) -> tuple[Seconds, Seconds]:
        """(overhead, stack), seen once over a link that costs nothing; `plan` sends every sample."""
        before = self.profile()
        seen = self.live(plan, "none")
        hosts, overhead = between(before, self.profile()), Seconds(seen.wait)
        bare = self.replayed(plan, "none", hosts, overhead, Seconds(0.0))
        return overhead, Seconds(max(seen.p50 - bare.p50, 0.0))

    def profile(self) -> Hosts:
        """Both at once, of what the plans use: the shorter it takes, the nearer it is to the live run."""
        hosts = measure_hosts(self.bundle, self.codecs, self.clock)
        return replace(hosts, board=hosts.board.slowed(self.slowdown))

    def replayed(self, plan: Plan, link: str, hosts: Hosts, overhead: Seconds, stack: Seconds) -> Told:
        script = script_of(link)
        rows = np.argsort(self.tape.id_N)[np.arange(script.frames) % len(self.tape)]
        phases = script.phases
        steps = [(script.seconds, phase.link) for phase in phases[:-1]] + [(Seconds(np.inf), phases[-1].link)]
        up, down = from_schedule(link, Schedule(steps=tuple(steps)))
        times = arrivals.fixed(script.rate, script.frames)
        device = DeviceScript(name="board", rows=rows, arrivals=times, driver=Fixed(plan), profile=hosts.board)
        scenario = Scenario(
            tape=self.tape,
            manifest=self.bundle.manifest,
            devices=(device,),
            edge=hosts.edge,
            up=up,
            down=down,
            stack=stack,
            overhead=overhead,
        )
        results = replay(scenario).results
        return told([(item.answered, item.exit, item.latency, item.label, item.truth) for item in results])

    def live(self, plan: Plan, link: str) -> Told:
        script = script_of(link)
        board = Board(bundle=self.bundle.path, slowdown=self.slowdown, threads=1)
        contender = Contender(name="live", about="", plan=plan)
        with Road(board, script.phases[0].link, self.clock) as road:
            run = Run(contender=contender, script=script)
            outcomes = run_one(road, run, str(self.frames), SilentScreen(), self.clock)
        seen = told([(item.answered, item.exit, item.latency, item.label, item.truth) for item in outcomes])
        return replace(seen, wait=float(np.median([item.wait for item in outcomes])))


def between(before: Hosts, after: Hosts) -> Hosts:
    """The means of two profiles."""
    return Hosts(board=_mean(before.board, after.board), edge=_mean(before.edge, after.edge))


def _mean(one: Profile, other: Profile) -> Profile:
    def middle(first: Mapping[str, Cost], second: Mapping[str, Cost]) -> dict[str, Cost]:
        return {
            name: Cost(
                median=(cost.median + second[name].median) / 2,
                p95=(cost.p95 + second[name].p95) / 2,
                mean=(cost.expected + second[name].expected) / 2,
            )
            for name, cost in first.items()
        }

    return replace(
        one,
        segments=middle(one.segments, other.segments),
        encode=middle(one.encode, other.encode),
        decode=middle(one.decode, other.decode),
    )


def told(rows: list[tuple[Answered, int | None, float, int | None, int | None]]) -> Told:
    latency = np.array([row[2] for row in rows if row[0] is not Answered.REJECTED])
    places = [f"{row[0]}@{row[1]}" if row[0] is Answered.DEVICE else str(row[0]) for row in rows]
    return Told(
        mean=float(latency.mean()),
        p50=float(np.median(latency)),
        p95=float(np.quantile(latency, 0.95)),
        accuracy=float(np.mean([row[3] == row[4] for row in rows])),
        exits={place: places.count(place) / len(places) for place in sorted(set(places))},
    )


def compare(name: str, simulated: Told, real: Told) -> list[Claim]:
    mean, p95 = (abs(a / b - 1) for a, b in ((simulated.mean, real.mean), (simulated.p95, real.p95)))
    detail = f"replayed {1e3 * simulated.mean:.1f} / {1e3 * simulated.p95:.1f} ms, "
    detail += f"live {1e3 * real.mean:.1f} / {1e3 * real.p95:.1f} ms"
    frames = script_of("stepping").frames
    outside = 0.0
    for place in {*simulated.exits, *real.exits}:
        interval = wilson(real.exits.get(place, 0.0) * frames, frames)
        outside += not interval.low <= simulated.exits.get(place, 0.0) <= interval.high
    interval = wilson(real.accuracy * frames, frames)
    outside += not interval.low <= simulated.accuracy <= interval.high
    return [
        Claim(name=f"{name}: mean off by", found=mean, limit=MEAN, unit="", detail=detail),
        Claim(name=f"{name}: p95 off by", found=p95, limit=P95, unit=""),
        Claim(name=f"{name}: shares outside sampling error", found=outside, limit=0, unit=""),
    ]


def vars_of(side: Told) -> dict[str, object]:
    return {"mean": side.mean, "p95": side.p95, "accuracy": side.accuracy, "exits": side.exits}


if __name__ == "__main__":
    sys.exit(main())
