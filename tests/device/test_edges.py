"""Of the sessions of a device one is in use; counts are those of all."""

import pytest

from offramp.errors import InputError
from offramp_device.edges import KEPT, Edges


class FakeSession:
    def __init__(self, address: object) -> None:
        self.address, self.connected, self.late, self.connections = address, True, 2, 1
        self.ping_bytes = 100

    def estimate(self) -> str:
        return f"the link to {self.address}"


def some_edges() -> Edges:
    return Edges(FakeSession)  # type: ignore[arg-type]


def test_only_the_edge_in_use_counts_as_the_link() -> None:
    edges = some_edges()
    first, _ = edges.open("a:1"), edges.open("b:2")
    assert (edges.in_use, edges.connected, edges.estimate()) == ("", "", None)
    edges.use(first)
    assert (edges.in_use, edges.connected, edges.estimate()) == ("a:1", "a:1", "the link to a:1")


def test_an_edge_that_is_not_there_is_in_use_but_not_connected() -> None:
    edges = some_edges()
    session = edges.open("a:1")
    edges.use(session)
    session.connected = False  # type: ignore[misc]
    assert (edges.in_use, edges.connected) == ("a:1", "")


def test_counts_are_over_all_sessions_however_many_there_were() -> None:
    edges = some_edges()
    for port in range(1, 3 * KEPT):
        edges.open(f"a:{port}")
    count = 3 * KEPT - 1
    assert (edges.connections, edges.late, edges.ping_bytes) == (count, 2 * count, 100 * count)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        some_edges().open("nowhere")
