"""What runs on the nodes of a cluster: where it listens, how it is found from outside, and when it is launched again.

the front door listens at        a controller or an edge listens at        and is found at
127.0.0.1, [::1], unix:PATH      127.0.0.1                                 127.0.0.1: all is on one machine
anything else                    its node's address                        that, or what --advertise says
"""

from dataclasses import dataclass

from offramp.errors import InputError
from offramp.units import Seconds
from offramp.wire.address import Address

LOOPBACK = "127.0.0.1"

FIRST_PAUSE, LAST_PAUSE = Seconds(0.5), Seconds(30.0)
"""Before a process that ended is launched again: nothing is gained by starting every second what cannot run."""
SETTLED = Seconds(10.0)
"""One that ran for so long was well; its end is the first of a new kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where something listens on its node, and the host that others know it by."""

    listen: Address
    """Its port may be 0: any that is free."""
    host: str

    def found_at(self, port: int) -> str:
        """The address for others, once the port is known."""
        return str(Address(host=self.host, port=port))


def reach(front: Address, node: str, *, advertise: str = "", port: int = 0) -> Reach:
    """For something on the node with this address, when devices ask for it at `front`."""
    host = LOOPBACK if front.is_local else node
    return Reach(listen=Address(host=host, port=port), host=advertise or host)


def check_reach(front: Address, here: str, nodes: frozenset[str]) -> None:
    """
    Raises:
        InputError: Devices could not leave this machine, and the cluster has others.
    """
    others = sorted(nodes - {here})
    if front.is_local and others:
        raise InputError(
            f"controllers and edges would run on {others[0]} too, but at {front} only programs of this machine are "
            f"served; listen at 0.0.0.0:{front.port or 'PORT'}"
        )


def numbered(port: int, number: int) -> int:
    """The port of the one with this number, when the first has `port`; 0, any free one, stays 0.

    Raises:
        InputError: There is none.
    """
    if port and port + number > 65_535:
        raise InputError(f"number {number} would have port {port + number}; let the first have a lower one than {port}")
    return port + number if port else 0


class Relaunch:
    """How long to wait before a process that ended is launched again: ever longer, unless it had run well."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE

    def pause(self, lasted: Seconds) -> Seconds:
        """After one that ran for `lasted`."""
        if lasted >= SETTLED:
            self._pause = FIRST_PAUSE
        pause = self._pause
        self._pause = min(Seconds(2 * pause), LAST_PAUSE)
        return pause
