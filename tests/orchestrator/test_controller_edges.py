"""Which edge a controller gives a device, and when it moves one: laws over edges that come, fill up and go."""

from offramp_orchestrator.assignment import PAUSE
from offramp_orchestrator.controller import SETTLING
from tests.orchestrator.fleets import (
    SENDS,
    STAYS,
    Fleet,
    a_running_report,
    address_of,
)


def test_who_delivers_the_bundle_is_named() -> None:
    fleet = Fleet(sources=("192.0.2.1:50050",))
    fleet.edge()
    order = fleet.device()
    assert order is not None
    assert order.sources == ("192.0.2.1:50050", address_of("edge"))


def test_devices_spread_over_edges() -> None:
    fleet = Fleet()
    fleet.edge("a")
    fleet.edge("b")
    edges = []
    for number in range(6):
        order = fleet.device(f"board {number}")
        assert order is not None
        edges.append(order.edge)
    assert sorted(edges) == [address_of("a")] * 3 + [address_of("b")] * 3


def test_a_device_stays_where_it_is_when_another_edge_comes(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    assert fleet.edge("another") == []


def test_devices_without_an_edge_are_given_the_first_that_comes() -> None:
    fleet = Fleet()
    fleet.device()
    fleet.follow()
    ((name, order),) = fleet.edge()
    assert (name, order.plan, order.edge) == ("board", SENDS, address_of("edge"))


def test_devices_of_a_lost_edge_are_moved_at_once_and_spread() -> None:
    fleet = Fleet()
    fleet.edge("a")
    for number in range(6):
        fleet.device(f"board {number}")
    fleet.edge("b")
    fleet.edge("c")
    moved = fleet.lose("a")
    assert sorted(order.edge for _, order in moved) == [address_of("b")] * 3 + [address_of("c")] * 3


def test_devices_of_the_only_edge_keep_answering_without_it(fleet: Fleet) -> None:
    fleet.device()
    ((_, order),) = fleet.lose()
    assert (order.plan, order.edge) == (STAYS, "")


def test_an_edge_that_is_stopping_is_left_before_it_is_gone(fleet: Fleet) -> None:
    fleet.device()
    fleet.edge("another")
    ((_, order),) = fleet.load(stopping=True)
    assert order.edge == address_of("another")
    assert fleet.lose() == []


def test_an_overloaded_edge_sheds_some_and_pauses() -> None:
    fleet = Fleet()
    fleet.edge("a")
    for number in range(8):
        fleet.device(f"board {number}")
        fleet.follow(f"board {number}")
    fleet.edge("b")
    fleet.load("a", busy=1.0, wait=0.2, price=1.0)
    moved = []
    for seconds in (1.0, 1.0, PAUSE):
        fleet.pass_time(seconds)
        moved.append(len(fleet.told("moved")))
    assert moved == [2, 2, 3]


def test_an_edge_that_is_busy_but_keeps_up_sheds_nobody() -> None:
    fleet = Fleet()
    fleet.edge("a")
    fleet.device()
    fleet.follow()
    fleet.edge("b")
    fleet.load("a", busy=0.8, wait=0.01, price=0.2)
    assert fleet.pass_time(1.0) == []


def test_nobody_is_moved_to_an_edge_without_room() -> None:
    fleet = Fleet()
    fleet.edge("a")
    fleet.device()
    fleet.follow()
    fleet.edge("b", busy=0.2, price=0.4)
    fleet.load("a", busy=1.0, price=1.0)
    assert fleet.pass_time(1.0) == []


def test_a_device_with_an_edge_of_its_own_keeps_it(fleet: Fleet) -> None:
    order = fleet.device(edge="192.0.2.9:50051")
    assert order is not None
    assert order.edge == "192.0.2.9:50051"
    assert fleet.lose() == []


def test_after_a_restart_a_device_stays_at_its_edge_whoever_comes_back_first(fleet: Fleet) -> None:
    fleet.restart()
    fleet.edge("another")
    assert fleet.device(report=a_running_report(edge="edge")) is None
    fleet.edge("edge")
    assert fleet.last().edge == address_of("edge")


def test_an_edge_that_does_not_come_back_after_a_restart_is_lost(fleet: Fleet) -> None:
    fleet.restart()
    fleet.edge("another")
    assert fleet.device(report=a_running_report(edge="edge")) is None
    ((_, order),) = fleet.pass_time(SETTLING)
    assert order.edge == address_of("another")
