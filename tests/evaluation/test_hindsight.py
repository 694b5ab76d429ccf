from pathlib import Path

import numpy as np
import pytest

from offramp.planning.resolve import resolve
from offramp.tape.reader import Tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.hindsight import Hindsight
from offramp_evaluation.replay.static import StaticReplay
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.trace import Trace
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile
from tests.support.tapes import write_a_tape

MANIFEST = a_manifest()
BOARD = a_profile((0.0, 0.010, 0.020, 0.030, 0.040))
EDGE = a_profile((0.0, 0.0003, 0.0006, 0.0009, 0.0012))
STAYS, SENDS = (resolve(text, MANIFEST) for text in ("split=end", "split=0"))
DEADLINE = Seconds(1.0)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_a_tape(Path(tmp_path_factory.mktemp("tape")) / "seeded.tape", MANIFEST)


def look_back(tape: Tape) -> Hindsight:
    static = StaticReplay(tape, MANIFEST, BOARD, EDGE, deadline=DEADLINE)
    return Hindsight(static, [STAYS, SENDS], np.arange(100), arrivals.fixed(10.0, 100), deadline=DEADLINE)


def a_link(mbit: float, *, lost_from: float | None = None) -> Trace:
    rate = BitsPerSecond(mbit * 1e6)
    if lost_from is None:
        return generate.constant(rate, duration=Seconds(1000), delay=Seconds(0.001))
    steps = [(Seconds(lost_from), rate), (Seconds(1000), BitsPerSecond(0))]
    return generate.step(steps, delay=Seconds(0.001))


def test_a_fast_link_is_worth_sending_and_a_thin_one_is_not(tape: Tape) -> None:
    hindsight = look_back(tape)
    assert hindsight.best(a_link(50.0), a_link(50.0), 2) == [SENDS, STAYS]
    assert hindsight.best(a_link(0.1), a_link(0.1), 1) == [STAYS]


def test_what_never_comes_back_counts_at_the_deadline(tape: Tape) -> None:
    lost = a_link(50.0, lost_from=5.0)
    stays, sends = look_back(tape).latency(lost, lost)
    assert stays == pytest.approx(0.040, abs=1e-6)
    # Half of the samples arrive after the link is gone.
    assert sends == pytest.approx(0.5 * DEADLINE, abs=0.02)
