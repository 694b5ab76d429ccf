from collections import Counter

import pytest

from offramp.errors import LinkError
from offramp.units import Seconds
from offramp_orchestrator.front import PATIENCE, FrontDoor, order

NAMES = [f"board-{number}" for number in range(300)]
START = Seconds(100.0)
SOON, LATE = Seconds(START + PATIENCE / 2), Seconds(START + PATIENCE * 1.01)


def a_front_door(*addresses: str) -> FrontDoor:
    """All controllers up at these addresses; an empty one is away from the start."""
    front = FrontDoor(len(addresses), START)
    for number, address in enumerate(addresses):
        if address:
            front.up(number, address)
    return front


def a_name_of(number: int, controllers: int) -> str:
    return next(name for name in NAMES if order(name, controllers)[0] == number)


def test_a_name_belongs_to_the_same_controller_at_every_start() -> None:
    assert [order(name, 3) for name in ("board-1", "camera at the gate")] == [[2, 1, 0], [1, 0, 2]]


def test_names_spread_evenly() -> None:
    owned = Counter(order(name, 4)[0] for name in NAMES)
    assert all(50 <= owned[number] <= 100 for number in range(4))


def test_one_controller_more_moves_only_the_names_that_it_wins() -> None:
    before, after = ({name: order(name, count)[0] for name in NAMES} for count in (4, 5))
    moved = {name for name in NAMES if before[name] != after[name]}
    assert moved == {name for name in NAMES if after[name] == 4}
    assert moved


def test_a_device_is_sent_to_its_own_controller_and_an_edge_to_all() -> None:
    front = a_front_door("10.0.0.1:7001", "10.0.0.2:7001")
    assert front.device(a_name_of(1, 2), SOON) == "10.0.0.2:7001"
    assert front.edge(SOON) == ("10.0.0.1:7001", "10.0.0.2:7001")


def test_while_a_controller_restarts_its_devices_are_asked_to_come_back() -> None:
    front = a_front_door("10.0.0.1:7001", "10.0.0.2:7001")
    front.away(1, START)
    with pytest.raises(LinkError, match="controller 1 is being started; ask again"):
        front.device(a_name_of(1, 2), SOON)


def test_while_a_controller_restarts_edges_are_asked_to_come_back() -> None:
    with pytest.raises(LinkError, match="controller 1 is being started"):
        a_front_door("10.0.0.1:7001", "").edge(SOON)


def test_the_devices_of_other_controllers_do_not_notice_a_restart() -> None:
    front = a_front_door("10.0.0.1:7001", "10.0.0.2:7001")
    front.away(1, START)
    assert front.device(a_name_of(0, 2), SOON) == "10.0.0.1:7001"


def test_a_controller_that_stays_away_is_replaced_by_the_next_in_a_names_order() -> None:
    addresses = ("10.0.0.1:7001", "10.0.0.2:7001", "10.0.0.3:7001")
    front = a_front_door(*addresses)
    name = a_name_of(1, 3)
    front.away(1, START)
    assert front.device(name, LATE) == addresses[order(name, 3)[1]]
    assert front.edge(LATE) == ("10.0.0.1:7001", "10.0.0.3:7001")


def test_a_controller_that_comes_back_elsewhere_is_found_there() -> None:
    front = a_front_door("10.0.0.1:7001", "10.0.0.2:7001")
    front.away(1, START)
    front.up(1, "10.0.0.3:7002")
    assert front.device(a_name_of(1, 2), SOON) == "10.0.0.3:7002"


def test_patience_counts_from_the_first_silence() -> None:
    front = a_front_door("10.0.0.1:7001", "10.0.0.2:7001")
    front.away(1, START)
    front.away(1, SOON)
    assert front.edge(LATE) == ("10.0.0.1:7001",)


def test_with_every_controller_gone_all_are_asked_to_come_back_for_ever() -> None:
    front = a_front_door("", "")
    with pytest.raises(LinkError, match="being started"):
        front.device("board-1", LATE)
    with pytest.raises(LinkError, match="being started"):
        front.edge(LATE)


def test_only_what_changed_is_news() -> None:
    front = a_front_door("")
    told = [front.up(0, "10.0.0.1:1"), front.up(0, "10.0.0.1:1"), front.away(0, START), front.away(0, SOON)]
    assert told == [True, False, True, False]
