"""Links and schedules of links, as text and as values."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import SettingsError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.shaper.link import OUTAGE, UNLIMITED, Link, Schedule, parse_link, parse_schedule

rates = st.one_of(st.just(UNLIMITED), st.floats(1.0, 1e12).map(BitsPerSecond))
delays = st.floats(0.0, 1e4).map(Seconds)
links = st.one_of(st.just(OUTAGE), st.builds(lambda rate, delay: Link(up=rate, down=rate, delay=delay), rates, delays))
finite = st.floats(1.0, 1e12).map(BitsPerSecond)
asymmetric = st.builds(lambda up, down, delay: Link(up=up, down=down, delay=delay), finite, finite, delays)


@given(st.one_of(links, asymmetric))
def test_a_link_reads_back_from_its_own_text(link: Link) -> None:
    assert parse_link(str(link)) == link


@given(st.lists(st.tuples(st.floats(1e-3, 1e6).map(Seconds), links), max_size=5), links)
def test_a_schedule_reads_back_from_its_own_text(steps: list[tuple[Seconds, Link]], last: Link) -> None:
    schedule = Schedule(steps=(*steps, (Seconds(math.inf), last)))
    assert parse_schedule(str(schedule)) == schedule


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise_than_by_its_own_error(text: str) -> None:
    schedule = None
    with contextlib.suppress(SettingsError):
        schedule = parse_schedule(text)
    assert schedule is None or schedule.steps[-1][0] == math.inf  # what is read never runs out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2mbit,20ms", Link(up=BitsPerSecond(2e6), down=BitsPerSecond(2e6), delay=Seconds(0.02))),
        ("2mbit/8mbit,20ms", Link(up=BitsPerSecond(2e6), down=BitsPerSecond(8e6), delay=Seconds(0.02))),
        ("0.5mbit", Link(up=BitsPerSecond(5e5), down=BitsPerSecond(5e5))),
        ("2Mbit/s , 1s", Link(up=BitsPerSecond(2e6), down=BitsPerSecond(2e6), delay=Seconds(1.0))),
        ("20ms", Link(delay=Seconds(0.02))),
        ("outage", OUTAGE),
    ],
)
def test_a_link_is_a_rate_and_a_delay(text: str, expected: Link) -> None:
    assert parse_link(text) == expected


def test_a_schedule_gives_each_step_its_time_and_the_last_one_the_rest() -> None:
    schedule = parse_schedule("5s:20mbit,10ms; 500ms:outage; 2mbit")
    fast, slow = parse_link("20mbit,10ms"), parse_link("2mbit")
    found = [schedule.at(Seconds(elapsed)) for elapsed in (0.0, 4.999, 5.0, 5.499, 5.5, 1e9)]
    assert found == [fast, fast, OUTAGE, OUTAGE, slow, slow]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "is not a link"),
        ("2mbit,20ms,3ms", "is not a link"),
        ("20ms,2mbit", "rate comes first"),
        ("1mbit/2mbit/3mbit", "3 rates"),
        ("0mbit,20ms", "write outage"),
        ("2mbit,-20ms", "'-20ms' is not a duration"),
        ("2furlong", "'2furlong' is not a duration"),
        ("5s:2mbit", "leave out its duration: '2mbit'"),
        ("2mbit; 20mbit", "write it as 5s:2mbit"),
        ("0s:2mbit; 20mbit", "positive"),
    ],
)
def test_a_malformed_link_is_refused_with_the_way_out(text: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        parse_schedule(text)
