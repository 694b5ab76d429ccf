"""What a beat says about the second before it."""

from typing import cast

import pytest

from offramp.records import EdgeTimings
from offramp.tail import Tail
from offramp.units import Bytes, Seconds
from offramp_edge_server.load import Load
from offramp_edge_server.meter import SilentMeter
from offramp_edge_server.routes import Group, Route

NOTHING = Seconds(0.0)


def at(seconds: float) -> Seconds:
    return Seconds(seconds)


def a_route(split: int = 3, codec: str = "affine8") -> Route:
    return Route(
        tail=cast(Tail, None),
        group=Group("digest", split),
        pace=f"{split}-8",
        codec=codec,
        max_payload=Bytes(1),
        top_k=0,
        classes=5,
        tally=SilentMeter().tally("tiny", split),
    )


def timings(*, queue: float = 0.0, decode: float = 0.001, compute: float = 0.008, batch: int = 1) -> EdgeTimings:
    return EdgeTimings(queue=at(queue), decode=at(decode), compute=at(compute), batch=batch)


def test_busy_is_the_share_of_the_time_in_which_the_model_worked() -> None:
    load = Load(at(0.0))
    load.began(at(0.2))
    load.ended(at(0.5))
    load.began(at(1.0))
    load.ended(at(1.3))
    assert load.beat(at(2.0), 0).busy == pytest.approx(0.3)


def test_a_long_call_counts_where_it_happens_and_not_where_it_ends() -> None:
    load = Load(at(0.0))
    load.began(at(0.5))
    assert load.beat(at(1.0), 0).busy == pytest.approx(0.5)
    assert load.beat(at(2.0), 0).busy == pytest.approx(1.0)
    load.ended(at(2.25))
    assert load.beat(at(3.0), 0).busy == pytest.approx(0.25)


def test_the_rate_counts_what_came_and_the_queue_what_waits() -> None:
    load = Load(at(0.0))
    for _ in range(6):
        load.arrived()
    report = load.beat(at(2.0), 4)
    assert (report.rate, report.queue) == (3.0, 4)


def test_the_wait_is_the_mean_over_all_who_waited_also_in_vain() -> None:
    load = Load(at(0.0))
    load.answered(a_route(), timings(queue=0.1))
    load.waited(at(0.3))
    assert load.beat(at(1.0), 0).wait == pytest.approx(0.2)


def test_each_beat_begins_anew() -> None:
    load = Load(at(0.0))
    load.arrived()
    load.answered(a_route(), timings(queue=0.1))
    load.beat(at(1.0), 0)
    quiet = load.beat(at(2.0), 0)
    assert (quiet.rate, quiet.wait, quiet.busy) == (0.0, 0.0, 0.0)


def test_two_beats_at_one_moment_are_one() -> None:
    load = Load(at(0.0))
    load.arrived()
    assert load.beat(at(1.0), 0) is load.beat(at(1.0), 0)


def test_a_full_second_with_a_queue_has_a_price() -> None:
    load = Load(at(0.0))
    load.began(at(0.0))
    load.waited(at(2.0))
    assert load.beat(at(1.0), 2).price > 0


def test_paces_are_seconds_of_one_request_whatever_the_batch() -> None:
    load = Load(at(0.0))
    load.answered(a_route(), timings(decode=0.001, compute=0.008, batch=4))
    assert load.paces() == {"digest": {"3-8": 0.002, "decode 3:affine8": 0.001}}


def test_a_pace_is_news_once_and_again_when_it_moved() -> None:
    load = Load(at(0.0))
    load.answered(a_route(), timings(compute=0.008))
    assert set(load.news()["digest"]) == {"3-8", "decode 3:affine8"}
    load.answered(a_route(), timings(compute=0.0081))
    assert load.news() == {}
    load.answered(a_route(), timings(compute=0.016))
    assert load.news() == {"digest": {"3-8": pytest.approx(0.00962, rel=0.01)}}


def test_what_peers_can_make_an_edge_remember_is_bounded() -> None:
    load = Load(at(0.0))
    for number in range(5_000):
        load.answered(a_route(codec=f"jpeg:{number}"), timings())
    assert len(load.paces()["digest"]) <= 1024
