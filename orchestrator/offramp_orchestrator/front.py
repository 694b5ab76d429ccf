"""The front door: which controller takes care of a name, and what is said while that one is away.

    Enter(name) ─► the name's own order of all controllers ─► the first is up ──────────────► its address
                                                            ├ away, and not for long ─────► come back (LinkError)
                                                            └ away for longer than patience ► the next in the order

A controller is a number here, up at an address or away; what runs it (`actors`) says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from offramp.errors import LinkError
from offramp.units import Seconds, format_seconds

PATIENCE = Seconds(10.0)
"""A restart takes about 2 s, and is worth waiting for: whoever is sent elsewhere stays there."""


@dataclass(slots=True)
class _Seat:
    """Where one controller is found, or since when it is not."""

    address: str = ""
    away_since: Seconds = Seconds(0.0)


class FrontDoor:
    """All controllers of an orchestrator, by number; each is away until it is said to be up."""

    def __init__(self, controllers: int, now: Seconds, *, patience: Seconds = PATIENCE) -> None:
        self._seats = [_Seat(away_since=now) for _ in range(controllers)]
        self._patience = patience

    def up(self, number: int, address: str) -> bool:
        """It serves at `address`; returns whether that is news."""
        seat = self._seats[number]
        news = seat.address != address
        seat.address = address
        return news

    def away(self, number: int, now: Seconds) -> bool:
        """It does not answer; returns whether that is news."""
        seat = self._seats[number]
        news = bool(seat.address)
        if news:
            seat.address, seat.away_since = "", now
        return news

    def device(self, name: str, now: Seconds) -> str:
        """The address of the controller that takes care of a device.

        Raises:
            LinkError: It is being restarted; the device asks again.
        """
        for number in order(name, len(self._seats)):
            seat = self._seats[number]
            if seat.address:
                return seat.address
            if now - seat.away_since <= self._patience:
                raise self._come_back(number)
        raise self._come_back(order(name, len(self._seats))[0])

    def edge(self, now: Seconds) -> tuple[str, ...]:
        """The addresses of all controllers: an edge serves devices of each.

        Raises:
            LinkError: One is being restarted; who had gone on with the others would never hear of it.
        """
        for number, seat in enumerate(self._seats):
            if not seat.address and now - seat.away_since <= self._patience:
                raise self._come_back(number)
        found = tuple(seat.address for seat in self._seats if seat.address)
        if not found:
            raise self._come_back(0)
        return found

    def _come_back(self, number: int) -> LinkError:
        return LinkError(
            f"controller {number} is being started; ask again in a second "
            f"(after {format_seconds(self._patience)} another one takes over)"
        )


def order(name: str, controllers: int) -> Sequence[int]:
    """Every controller's number, the one that a name belongs to first.

    Rendezvous hashing: each name draws a lot for each controller. So names spread evenly, the order is the same at
    every start, and with one controller more only the names move that it now wins.
    """
    return sorted(range(controllers), key=lambda number: _lot(name, number), reverse=True)


def _lot(name: str, number: int) -> bytes:
    return blake2b(name.encode(), digest_size=8, salt=number.to_bytes(8, "big")).digest()
