"""What is remembered of streams, and for how long."""

import numpy as np
import pytest

from offramp.exits.policy import NO_STATE, State
from offramp.plan import ExitRule
from offramp.units import Seconds
from offramp_device.streams import Exits, Streams

RULE = ("network", ExitRule(policy="confidence", thresholds=((1, 0.8),)))
OTHER = ("network", ExitRule(policy="confidence", thresholds=((1, 0.9),)))
ELSEWHERE = ("another network", RULE[1])


def a_state(number: int) -> State:
    return (np.array([number]),)


def test_a_stream_of_which_nothing_is_known_has_no_state() -> None:
    assert Streams(RULE).recall("a", RULE) == NO_STATE


def test_streams_do_not_know_of_each_other() -> None:
    streams = Streams(RULE)
    for number, name in enumerate("ab"):
        streams.settle(name, RULE, Seconds(1.0), a_state(number))
    assert [streams.recall(name, RULE) for name in "abc"] == [a_state(0), a_state(1), NO_STATE]


def test_of_two_answers_that_of_the_sample_which_began_later_counts() -> None:
    streams = Streams(RULE)
    streams.settle("a", RULE, Seconds(2.0), a_state(2))
    streams.settle("a", RULE, Seconds(1.0), a_state(1))
    assert streams.recall("a", RULE) == a_state(2)


@pytest.mark.parametrize("other", [OTHER, ELSEWHERE], ids=["another rule", "another network"])
def test_other_exits_begin_without_a_memory_and_learn_nothing_from_stragglers(other: Exits) -> None:
    streams = Streams(RULE)
    streams.settle("a", RULE, Seconds(1.0), a_state(1))
    streams.follow(other)
    assert streams.recall("a", other) == NO_STATE
    streams.settle("a", RULE, Seconds(2.0), a_state(2))
    assert streams.recall("a", other) == NO_STATE


def test_a_sample_that_began_before_the_change_finds_nothing_of_the_new_exits() -> None:
    streams = Streams(RULE)
    streams.follow(OTHER)
    streams.settle("a", OTHER, Seconds(1.0), a_state(1))
    assert streams.recall("a", RULE) == NO_STATE


def test_a_plan_with_the_same_exits_goes_on_with_what_was_known() -> None:
    streams = Streams(RULE)
    streams.settle("a", RULE, Seconds(1.0), a_state(1))
    streams.follow(("network", ExitRule(policy="confidence", thresholds=((1, 0.8),))))
    assert streams.recall("a", RULE) == a_state(1)


def test_the_stream_heard_of_longest_ago_is_forgotten_first() -> None:
    streams = Streams(RULE, most=2)
    for number, name in enumerate("ab"):
        streams.settle(name, RULE, Seconds(number), a_state(number))
    streams.recall("a", RULE)
    streams.settle("c", RULE, Seconds(2.0), a_state(2))
    assert [streams.recall(name, RULE) for name in "abc"] == [a_state(0), NO_STATE, a_state(2)]
