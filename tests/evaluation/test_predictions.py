"""The cost model against the replay of what the demo's network really said."""

import numpy as np
import pytest

from offramp.bundle.store import open_bundle
from offramp.measure.profile import read_profile
from offramp.planning.candidates import read_candidates
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.tape.reader import open_tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.static import StaticReplay
from offramp_evaluation.traces.generate import constant

DEADLINE, DELAY = Seconds(1.0), Seconds(0.01)
FRAMES, RATE, SLOWDOWN, PLANS = 1_500, 10.0, 20.0, 12


@pytest.mark.parametrize("mbit", [0.3, 2.0, 20.0])
@pytest.mark.parametrize("regular", [True, False], ids=["in step", "at random"])
def test_means_and_p95_of_all_kinds_of_plans_are_predicted(mbit: float, regular: bool) -> None:
    """Of independent samples; in runs, hard frames come together, and a thin link queues more than predicted."""
    bundle, tape, edge = open_bundle(DEMO_BUNDLE, check=False), open_tape(DEMO_TAPE), read_profile(DEMO_PROFILE)
    candidates, device = read_candidates(bundle), edge.slowed(SLOWDOWN)
    model = CostModel(candidates, device, edge)
    replay = StaticReplay(tape, bundle.manifest, device, edge, deadline=DEADLINE)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(tape))[:FRAMES]
    times = arrivals.fixed(RATE, FRAMES) if regular else arrivals.poisson(RATE, FRAMES, seed=1)
    link = constant(BitsPerSecond(mbit * 1e6), duration=Seconds(1000.0), delay=DELAY)
    now = Situation(bandwidth=BitsPerSecond(mbit * 1e6), round_trip=Seconds(2 * DELAY), rate=RATE, regular=regular)
    feasible = np.flatnonzero(np.isfinite(model.latency(now)))
    off_mean, off_p95 = [], []
    for place in rng.permutation(feasible)[:PLANS].tolist():
        found = replay.run(candidates.candidates[place].plan(), rows, times, link, link).latency_N
        told = model.forecast(place, now)
        off_mean.append(abs(told.mean - found.mean()) / found.mean())
        off_p95.append(abs(told.p95 - np.quantile(found, 0.95)) / np.quantile(found, 0.95))
    assert np.median(off_mean) < 0.08
    assert max(off_mean) < 0.25
    assert np.median(off_p95) < 0.1
