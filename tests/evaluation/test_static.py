from pathlib import Path

import numpy as np
import pytest

from offramp.planning.resolve import resolve
from offramp.records import Revision
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
    return write_a_tape(Path(tmp_path_factory.mktemp("tape")) / "seeded.tape", MANIFEST, also=("affine4", "float16"))


def run_both(
    tape: Tape, plan: str, *, mbit: float, rate: float, in_step: bool = False
) -> tuple[Static, list[float], list[tuple[int | None, int | None, int]]]:
    """The fast path; and sample by sample the event simulation's latency, and (label, exit, bytes on the wire)."""
    link = generate.constant(BitsPerSecond(mbit * 1e6), duration=Seconds(1000), delay=Seconds(0.010))
    times = arrivals.fixed(rate, len(ROWS)) if in_step else arrivals.poisson(rate, len(ROWS), seed=3)
    resolved = resolve(plan, MANIFEST)
    static = StaticReplay(tape, MANIFEST, BOARD, EDGE, deadline=Seconds(1.0)).run(resolved, ROWS, times, link, link)
    device = DeviceScript(name="a", rows=ROWS, arrivals=times, driver=Fixed(resolved), profile=BOARD)
    events = replay(Scenario(tape=tape, manifest=MANIFEST, devices=(device,), edge=EDGE, up=link, down=link)).results
    assert {result.revision for result in events} == {Revision(1, 1)}
    events.sort(key=lambda result: result.index)
    said = [(result.label, result.exit, int(result.wire_bytes)) for result in events]
    return static, [result.latency for result in events], said


@pytest.mark.parametrize(
    "plan",
    [
        "split=0",
        "split=1",
        "split=2, exit=confidence:0.9",
        "split=end",
        "split=end, exit=margin:0.6@1",
        "split=2, exit=patience:2",
        "split=0, tail=confidence:0.8",
        "split=1, exit=confidence:0.95, tail=confidence:0.7@2",
        "split=0, tail=confidence:0.8, queue=1",
        "split=0, tail=confidence:0.8, queue=2",
        "split=2, exit=exclusion:0.8, mask=on",
        "split=1, exit=exclusion:0.8@1, mask=on, tail=confidence:0.6@2",
        "split=2, exit=confidence:0.9, codec=affine8+zstd, unsure=0.5:float16",
        "split=1, exit=margin:0.9, codec=affine4, unsure=0.7:affine8+zstd, tail=confidence:0.7@2",
    ],
)
def test_where_nothing_is_refused_it_equals_the_event_simulation(tape: Tape, plan: str) -> None:
    assert_same(*run_both(tape, plan, mbit=5.0, rate=5.0))


@pytest.mark.parametrize(
    "plan",
    [
        "split=2, exit=difference:0.5@1",
        "split=2, exit=temporal-patience:0.3@1/0.3@2",
        "split=1, exit=difference:0.4@1+confidence:0.95@1",
        "split=end, exit=difference:0.5@2",
    ],
)
def test_scenes_too_where_each_sample_has_its_answer_before_the_next_begins(tape: Tape, plan: str) -> None:
    static, latency, said = run_both(tape, plan, mbit=5.0, rate=5.0, in_step=True)
    assert_same(static, latency, said)
    assert 0.1 < static.sent_N.mean() < 0.9 or "end" in plan, "some scenes go on, and some end"


def test_it_is_not_exact_where_a_scene_is_named_after_its_next_sample_has_begun(tape: Tape) -> None:
    static, _, said = run_both(tape, "split=2, exit=difference:0.5@1", mbit=5.0, rate=20.0)
    assert not static.exact
    assert sum(wire > 0 for _, _, wire in said) > static.sent_N.sum(), "what is not recognised yet is uploaded"


def assert_same(static: Static, latency: list[float], said: list[tuple[int | None, int | None, int]]) -> None:
    assert static.exact
    found = zip(static.label_N.tolist(), static.exit_N.tolist(), static.wire_N.tolist(), strict=True)
    assert list(found) == said
    # Pings and probes of the session share the simulated link now and then: a packet at 5 Mbit/s takes 2 ms.
    assert np.abs(static.latency_N - latency).max() < 2.5e-3


def test_it_says_when_it_would_not_be_exact(tape: Tape) -> None:
    static, _, _ = run_both(tape, "split=1", mbit=0.05, rate=10.0)
    assert not static.exact
