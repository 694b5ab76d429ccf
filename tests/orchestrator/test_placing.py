import pytest

from offramp.errors import InputError
from offramp.units import Seconds
from offramp.wire.address import Address, parse_address
from offramp_orchestrator.placing import LAST_PAUSE, SETTLED, Relaunch, check_reach, numbered, reach

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.mark.parametrize("front", ["127.0.0.1:50050", "[::1]:50050", "localhost:0", "unix:/run/orchestrator.sock"])
def test_behind_a_local_front_door_everything_is_local(front: str) -> None:
    found = reach(parse_address(front, listen=True), HERE)
    assert (found.listen, found.found_at(7001)) == (Address(host="127.0.0.1", port=0), "127.0.0.1:7001")


@pytest.mark.parametrize("front", ["0.0.0.0:50050", "192.0.2.1:50050", "[::]:50050"])
def test_behind_an_open_front_door_each_is_found_at_its_node(front: str) -> None:
    found = reach(parse_address(front), THERE, port=7001)
    assert (found.listen, found.found_at(7001)) == (Address(host=THERE, port=7001), "192.0.2.8:7001")


def test_what_is_advertised_is_what_others_are_told() -> None:
    found = reach(parse_address("0.0.0.0:50050"), THERE, advertise="edge.example.org")
    assert (found.listen.host, found.found_at(7001)) == (THERE, "edge.example.org:7001")


def test_a_node_with_an_ipv6_address_is_found_in_brackets() -> None:
    assert reach(parse_address("[::]:50050"), "2001:db8::7").found_at(7001) == "[2001:db8::7]:7001"


def test_a_local_front_door_before_a_cluster_of_several_machines_is_refused() -> None:
    with pytest.raises(InputError, match=r"would run on 192\.0\.2\.8 too.*listen at 0\.0\.0\.0:50050"):
        check_reach(parse_address("127.0.0.1:50050"), HERE, frozenset({HERE, THERE}))


@pytest.mark.parametrize(
    ("front", "nodes"), [("127.0.0.1:50050", {HERE}), ("0.0.0.0:50050", {HERE, THERE})], ids=["alone", "open"]
)
def test_any_other_front_door_will_do(front: str, nodes: set[str]) -> None:
    check_reach(parse_address(front), HERE, frozenset(nodes))


def test_ports_are_numbered_from_the_first_and_any_stays_any() -> None:
    assert [numbered(7000, 0), numbered(7000, 3), numbered(0, 3)] == [7000, 7003, 0]


def test_a_number_without_a_port_is_refused() -> None:
    with pytest.raises(InputError, match="number 10 would have port 65540"):
        numbered(65_530, 10)


def test_a_process_that_ends_at_once_is_launched_ever_more_slowly() -> None:
    relaunch = Relaunch()
    pauses = [relaunch.pause(Seconds(0.1)) for _ in range(10)]
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert pauses[-1] == LAST_PAUSE


def test_a_process_that_ran_well_is_launched_again_at_once() -> None:
    relaunch = Relaunch()
    for _ in range(5):
        relaunch.pause(Seconds(0.1))
    assert relaunch.pause(SETTLED) == 0.5
