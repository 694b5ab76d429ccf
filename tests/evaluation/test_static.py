from pathlib import Path

import numpy as np
import pytest

from offramp.planning.resolve import resolve
from offramp.tape.reader import Tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Fixed
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.static import Static, StaticReplay
from offramp_evaluation.traces import generate
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile
from tests.support.tapes import write_a_tape

MANIFEST = a_manifest()
BOARD = a_profile((0.0, 0.010, 0.020, 0.030, 0.040))
EDGE = a_profile((0.0, 0.0003, 0.0006, 0.0009, 0.0012))
ROWS = np.arange(200)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_a_tape(Path(tmp_path_factory.mktemp("tape")) / "seeded.tape", MANIFEST)


def run_both(tape: Tape, plan: str, *, mbit: float, rate: float) -> tuple[Static, list[float], list[int | None]]:
    link = generate.constant(BitsPerSecond(mbit * 1e6), duration=Seconds(1000), delay=Seconds(0.010))
    times, resolved = arrivals.poisson(rate, len(ROWS), seed=3), resolve(plan, MANIFEST)
    static = StaticReplay(tape, MANIFEST, BOARD, EDGE, deadline=Seconds(1.0)).run(resolved, ROWS, times, link, link)
    device = DeviceScript(name="a", rows=ROWS, arrivals=times, driver=Fixed(resolved), profile=BOARD)
    events = replay(Scenario(tape=tape, manifest=MANIFEST, devices=(device,), edge=EDGE, up=link, down=link)).results
    events.sort(key=lambda result: result.index)
    return static, [result.latency for result in events], [result.label for result in events]


@pytest.mark.parametrize(
    "plan", ["split=0", "split=1", "split=2, exit=confidence:0.9", "split=end", "split=end, exit=margin:0.6@1"]
)
def test_where_nothing_is_refused_it_equals_the_event_simulation(tape: Tape, plan: str) -> None:
    static, latency, label = run_both(tape, plan, mbit=5.0, rate=5.0)
    assert static.exact
    assert static.label_N.tolist() == label
    # Pings and probes of the session share the simulated link now and then: a packet at 5 Mbit/s takes 2 ms.
    assert np.abs(static.latency_N - latency).max() < 2.5e-3


def test_it_says_when_it_would_not_be_exact(tape: Tape) -> None:
    static, _, _ = run_both(tape, "split=1", mbit=0.05, rate=10.0)
    assert not static.exact
