import pytest

from offramp.bundle.specs import SegmentSpec
from offramp.clock import ManualClock
from offramp.errors import SettingsError
from offramp.records import Feature
from offramp.runtime.board import SlowedRuntime, effort_of
from offramp.runtime.runtime import SegmentOutputs
from offramp.units import Seconds

SPEC = SegmentSpec(start=0, stop=1, branch=False, file="graph/0-1.onnx")


class TimedRuntime:
    """Segments that take a stated time on a manual clock."""

    def __init__(self, clock: ManualClock, takes: Seconds) -> None:
        self.spec = SPEC
        self.closed = False
        self._clock, self._takes = clock, takes

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> "TimedRuntime":
        return self

    def run(self, feature: Feature) -> SegmentOutputs:
        self._clock.advance(self._takes)
        return SegmentOutputs(feature)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("factor", [1.0, 2.5, 20.0])
def test_a_segment_takes_the_stated_multiple_of_its_time(factor: float) -> None:
    clock = ManualClock()
    runtime = SlowedRuntime(TimedRuntime(clock, Seconds(0.01)), factor, clock)
    runtime.open(0, 1, branch=False).run(())
    assert clock.now() == pytest.approx(0.01 * factor)


def test_a_stall_of_this_machine_is_not_multiplied() -> None:
    clock, computed = ManualClock(), Seconds(0.01)
    stalled = TimedRuntime(clock, Seconds(0.03))  # wall time, of which it computed a third
    effort = iter([0.0, computed])
    SlowedRuntime(stalled, 20.0, clock, effort=lambda: next(effort)).open(0, 1, branch=False).run(())
    assert clock.now() == pytest.approx(20.0 * computed)


def test_what_a_thread_computed_is_known_of_one_thread_alone() -> None:
    effort = effort_of(1)
    assert effort is not None
    before = effort()
    sum(range(100_000))
    assert effort() > before
    assert effort_of(2) is None


def test_opening_is_not_slowed_and_closing_reaches_the_real_runtime() -> None:
    clock = ManualClock()
    inner = TimedRuntime(clock, Seconds(0.01))
    runtime = SlowedRuntime(inner, 5.0, clock)
    assert runtime.open(0, 1, branch=False).spec is SPEC
    runtime.close()
    assert clock.now() == 0.0
    assert inner.closed


@pytest.mark.parametrize("factor", [0.5, 0.0, -1.0, float("nan"), float("inf")])
def test_a_board_cannot_be_faster_than_this_machine(factor: float) -> None:
    clock = ManualClock()
    with pytest.raises(SettingsError, match="give a factor of 1 or more"):
        SlowedRuntime(TimedRuntime(clock, Seconds(0.01)), factor, clock)
