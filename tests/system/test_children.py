"""Commands of Offramp as children: how they are heard, told, ended, and how they die."""

import os
import signal
import time

import pytest

from offramp.clock import SystemClock
from offramp.errors import OfframpError
from offramp.units import Seconds
from offramp_evaluation.road.child import Child

pytestmark = pytest.mark.system

SHAPE = ["shape", "--control", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9", "--link"]


def a_shaper(link: str = "5ms") -> Child:
    return Child("shaper", [*SHAPE, link], SystemClock())


def test_a_child_is_heard_and_told() -> None:
    with a_shaper() as shaper:
        assert shaper.expect("ready", Seconds(20.0))["link"] == "0.005s"
        shaper.say("2mbit")
        assert shaper.expect("link", Seconds(20.0))["link"] == "2000000bit"


def test_silence_within_the_time_is_no_event() -> None:
    with a_shaper() as shaper:
        shaper.expect("ready", Seconds(20.0))
        assert shaper.next(Seconds(0.05)) is None


def test_a_child_that_does_not_say_it_in_time_is_an_error() -> None:
    with a_shaper() as shaper, pytest.raises(OfframpError, match="the shaper said no 'party' within 1 s"):
        shaper.expect("party", Seconds(1.0))


def test_the_error_of_a_child_that_died_shows_its_last_words() -> None:
    with a_shaper("nonsense") as shaper, pytest.raises(OfframpError) as caught:
        shaper.expect("ready", Seconds(20.0))
    assert "the shaper ended in the middle (exit code 2); its last words:" in str(caught.value)
    assert "'nonsense' is not a duration" in str(caught.value)


def test_a_child_that_was_killed_is_noticed() -> None:
    with a_shaper() as shaper:
        shaper.expect("ready", Seconds(20.0))
        shaper.check()
        os.kill(shaper.process_id, signal.SIGKILL)
        while not shaper.has_ended:
            time.sleep(0.01)
        with pytest.raises(OfframpError, match="SIGKILL"):
            shaper.check()


def test_a_stopped_child_is_gone() -> None:
    shaper = a_shaper()
    with shaper:
        shaper.expect("ready", Seconds(20.0))
    assert shaper.has_ended
    with pytest.raises(ProcessLookupError):
        os.kill(shaper.process_id, 0)
