import pytest

from offramp.clock import ManualClock
from offramp.units import Seconds
from offramp_evaluation.recording.progress import ProgressScreen


def test_where_there_is_no_terminal_lines_say_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    with ProgressScreen(clock=clock) as screen:
        screen.begin("recording", 200, 1000)
        for _ in range(4):
            clock.advance(Seconds(5.0))
            screen.advance(100)
    # 100 samples in 5 s: after 10 s, 400 of 1,000 are done and 600 are left, which take 30 s.
    assert capsys.readouterr().err.splitlines() == [
        "recording 1,000 samples, 200 of them before",
        "recording: 400 of 1,000 samples, about 30.0 s left",
        "recording: 600 of 1,000 samples, about 20.0 s left",
    ]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    with ProgressScreen(quiet=True, clock=clock) as screen:
        screen.say("reading")
        screen.begin("recording", 0, 10)
        clock.advance(Seconds(60.0))
        screen.advance(5)
    assert capsys.readouterr() == ("", "")
