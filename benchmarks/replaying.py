"""How fast strategies are replayed, from the shipped demo's tape.

200 traces × 10 plans × 1,000 samples   the event simulation, one process per core
static sample-evaluations               the vectorised path, one core
offramp evaluate replay --json          twice: time, and whether both records are the same
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np

from benchmarks.harness import CORES, Claim, a_parser, report
from offramp.bundle.store import open_bundle
from offramp.measure.profile import read_profile
from offramp.planning.resolve import resolve
from offramp.tape.reader import open_tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Fixed
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.static import StaticReplay
from offramp_evaluation.traces import generate

TRACES, PLANS, SAMPLES, RATE = 200, 10, 1_000, 10.0
STATIC_SAMPLES, STATIC_ROUNDS = 20_000, 5
SLOWDOWN = 30.0


def main() -> int:
    arguments = a_parser(__doc__.partition("\n")[0]).parse_args()
    traces = TRACES // 10 if arguments.quick else TRACES
    before = time.perf_counter()
    with ProcessPoolExecutor(len(CORES)) as pool:
        counts = list(pool.map(events, range(traces), chunksize=4))
    event_seconds = (time.perf_counter() - before) * TRACES / traces
    assert sum(counts) == traces * PLANS * SAMPLES, counts
    rates = static_rates()
    seconds, same = whole_command()
    claims = [
        Claim(name="200 traces × 10 plans × 1,000 samples", found=event_seconds, limit=60.0, unit="s"),
        Claim(
            name="static sample-evaluations a second, in millions",
            found=min(rates.values()) / 1e6,
            limit=1.0,
            at_most=False,
            unit="M/s",
        ),
        Claim(name="offramp evaluate replay", found=seconds, limit=20.0, unit="s"),
        Claim(name="records of one seed that differ", found=0.0 if same else 1.0, limit=0.0, unit=""),
    ]
    return report("replaying", claims, {"static_per_second": rates, "traces": traces}, arguments)


@cache
def _demo():  # noqa: ANN202 - a tuple of five values, named where it is taken apart
    bundle, tape, profile = open_bundle(DEMO_BUNDLE), open_tape(DEMO_TAPE), read_profile(DEMO_PROFILE)
    manifest = bundle.manifest
    last = max(branch.cut for branch in manifest.branches)
    texts = ["split=0, codec=jpeg:50", "split=end", "split=end, exit=confidence:0.9", "split=end, exit=margin:0.5"]
    texts += [f"split={cut}" for cut in range(1, 4)]
    texts += [f"split={last}, exit={policy}" for policy in ("confidence:0.9", "entropy:0.1", "margin:0.8")]
    plans = [resolve(text, manifest) for text in texts]
    return manifest, tape, profile, profile.slowed(SLOWDOWN), plans


def events(number: int) -> int:
    """Replay every plan over one trace of its own; the samples that got a Result."""
    manifest, tape, edge, board, plans = _demo()
    rates = [BitsPerSecond(mbit * 1e6) for mbit in (0.3, 1.0, 5.0, 20.0)]
    trace = generate.markov(rates, dwell=Seconds(5.0), duration=Seconds(120.0), seed=number, delay=Seconds(0.02))
    rows = np.arange(SAMPLES) % len(tape)
    total = 0
    for plan in plans[:PLANS]:
        times = arrivals.fixed(RATE, SAMPLES)
        device = DeviceScript(name="board", rows=rows, arrivals=times, driver=Fixed(plan), profile=board)
        scenario = Scenario(tape=tape, manifest=manifest, devices=(device,), edge=edge, up=trace, down=trace)
        total += len(replay(scenario).results)
    return total


def static_rates() -> dict[str, float]:
    """Samples a second of the vectorised path, by plan."""
    manifest, tape, edge, board, plans = _demo()
    fast = StaticReplay(tape, manifest, board, edge, deadline=Seconds(1.0))
    link = generate.constant(BitsPerSecond(5e6), duration=Seconds(1e5), delay=Seconds(0.01))
    rows, times = np.arange(STATIC_SAMPLES) % len(tape), arrivals.fixed(RATE, STATIC_SAMPLES)
    rates = {}
    for plan in plans[:PLANS]:
        fast.run(plan, rows, times, link, link)  # reads the columns
        before = time.perf_counter()
        for _ in range(STATIC_ROUNDS):
            fast.run(plan, rows, times, link, link)
        rates[str(plan)] = STATIC_ROUNDS * STATIC_SAMPLES / (time.perf_counter() - before)
    return rates


def whole_command() -> tuple[float, bool]:
    """(seconds of the slower one, whether two runs of `offramp evaluate replay --json` differ in `run` alone)."""
    records, slowest = [], 0.0
    for _ in range(2):
        before = time.perf_counter()
        command = [sys.executable, "-m", "offramp.cli", "evaluate", "replay", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        slowest = max(slowest, time.perf_counter() - before)
        record = json.loads(done.stdout)
        del record["run"]
        records.append(json.dumps(record))
    return slowest, records[0] == records[1]


if __name__ == "__main__":
    sys.exit(main())
