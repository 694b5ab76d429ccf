import pytest

from offramp.clock import ManualClock, SystemClock
from offramp.units import Seconds


def test_a_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(Seconds(5.0))
    assert clock.now() == clock.now() == 5.0
    clock.advance(Seconds(1.5))
    clock.sleep(Seconds(0.5))
    assert clock.now() == 7.0


def test_sleeping_for_no_time_returns_at_once() -> None:
    clock = ManualClock()
    clock.sleep(Seconds(-1.0))
    assert clock.now() == 0.0
    SystemClock().sleep(Seconds(-1.0))


def test_no_clock_goes_back() -> None:
    with pytest.raises(ValueError, match=r"cannot go back by 1.0 s"):
        ManualClock().advance(Seconds(-1.0))
    clock = SystemClock()
    assert clock.now() <= clock.now()


def test_the_system_clock_sleeps_as_long_as_it_says() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(Seconds(0.01))
    assert clock.now() - before >= 0.01
