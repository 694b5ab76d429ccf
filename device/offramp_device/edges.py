"""The edges of one device: a session with the one in use, what is known of its link, and counts over all of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from offramp.measure.link import LinkEstimate
from offramp.units import Bytes
from offramp.wire.address import Address, parse_address

if TYPE_CHECKING:  # with gRPC, which is imported when the first edge is named
    from offramp_device.session import EdgeSession

KEPT = 8
"""Sessions whose counts may still grow; older ones ended long ago."""

Connect = Callable[[Address], "EdgeSession"]
"""Opens a session, which goes on connecting by itself."""


class Edges:
    """Sessions are closed by who uses them: the device, when it closes or has moved on."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._sessions: list[EdgeSession] = []
        self._current: EdgeSession | None = None
        self._past_late = self._past_connections = self._past_ping_bytes = 0

    def open(self, address: str) -> "EdgeSession":
        """A session with this edge; it is not in use yet.

        Raises:
            InputError: The address is none, or a TLS file is not what it should be.
        """
        session = self._connect(parse_address(address))
        self._sessions.append(session)
        if len(self._sessions) > KEPT:
            past = self._sessions.pop(0)
            self._past_late += past.late
            self._past_connections += past.connections
            self._past_ping_bytes += past.ping_bytes
        return session

    def use(self, session: "EdgeSession | None") -> None:
        """New samples take this one from now on; None: no edge."""
        self._current = session

    @property
    def in_use(self) -> str:
        """Address of the edge that samples go to, reached or not; empty: none."""
        return "" if self._current is None else str(self._current.address)

    @property
    def connected(self) -> str:
        """The same, once it has said something; empty while it is not there."""
        current = self._current
        return str(current.address) if current is not None and current.connected else ""

    def estimate(self) -> LinkEstimate | None:
        """What is believed about the link in use; None before anything was learned, and without one."""
        current = self._current
        return None if current is None else current.estimate()

    @property
    def late(self) -> int:
        """Answers that came after their flight was given up."""
        return self._past_late + sum(session.late for session in self._sessions)

    @property
    def connections(self) -> int:
        """Streams on which an edge has said something."""
        return self._past_connections + sum(session.connections for session in self._sessions)

    @property
    def ping_bytes(self) -> Bytes:
        """Written to learn about links, beside what samples take."""
        return Bytes(self._past_ping_bytes + sum(session.ping_bytes for session in self._sessions))
