"""What may go to the edge, and what is still expected from there. Pure: `now` is passed in.

enter ──► expected ──► settle: the answer, in time
   │          └──────► expire: given up; its bytes stay on the link, its answer is late and discarded
   └ refusal: it would come too late, or too much is unanswered
"""

from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from offramp.measure.link import LinkEstimator
from offramp.units import Bytes, Seconds, format_bytes, format_seconds

F = TypeVar("F")

MAX_UNANSWERED = Bytes(1 << 20)
"""1 MiB: ten uncompressed ResNet-18 features. On a slow link the deadline stops far earlier."""


@dataclass(slots=True)
class _Expected(Generic[F]):
    flight: F
    due: Seconds


class Ledger(Generic[F]):
    """Flights on their way. Not safe from several threads: its owner holds a lock.

    Numbers are never used twice, not even over several connections, so that an answer can never reach a flight that
    it was not meant for.
    """

    def __init__(self, link: LinkEstimator, max_unanswered: Bytes = MAX_UNANSWERED) -> None:
        self.link = link
        self.late = 0
        """Answers that came after their flight was given up."""
        self._max_unanswered = max_unanswered
        self._numbers = count(1)
        self._expected: dict[int, _Expected[F]] = {}
        self._given_up: set[int] = set()

    def __len__(self) -> int:
        """Flights that still expect their answer."""
        return len(self._expected)

    def number(self) -> int:
        """A number that was never used: for a flight, or for a ping."""
        return next(self._numbers)

    def refusal(self, nbytes: int, due: Seconds, now: Seconds) -> str:
        """Why `nbytes`, whose answer is due at `due`, should not be sent now; empty when they may."""
        unanswered = self.link.unanswered
        if unanswered and unanswered + nbytes > self._max_unanswered:
            return f"{format_bytes(unanswered)} are unanswered; at most {format_bytes(self._max_unanswered)} may be"
        predicted = self.link.predict(nbytes, now)
        if now + predicted > due:
            left = max(due - now, 0.0)
            return f"the answer would take {format_seconds(predicted)}, {format_seconds(left)} are left"
        return ""

    def enter(self, flight: F, nbytes: int, due: Seconds, now: Seconds) -> int:
        """The flight is handed to the link; returns its number."""
        number = self.number()
        self._expected[number] = _Expected(flight, due)
        self.link.sent(number, nbytes, now)
        return number

    def settle(self, number: int, edge: Seconds, now: Seconds) -> F | None:
        """The answer to `number` is here: its flight, or None when nobody waits for it any more."""
        self.link.answered(number, edge, now)
        return self.take(number)

    def take(self, number: int) -> F | None:
        """As `settle`, but what the answer says about the link is left to the caller, who may be in a hurry."""
        expected = self._expected.pop(number, None)
        if expected is not None:
            return expected.flight
        if number in self._given_up:
            self._given_up.discard(number)
            self.late += 1
        return None

    def fail(self, number: int) -> F | None:
        """The edge refused `number`: its flight, or None when nobody waits for it. Says nothing about the link."""
        self.link.withdraw(number)
        self._given_up.discard(number)
        expected = self._expected.pop(number, None)
        return None if expected is None else expected.flight

    def expects(self, number: int) -> bool:
        return number in self._expected

    def withdraw(self, number: int) -> None:
        """`number` was given up before it was written: no answer will come."""
        self.link.withdraw(number)
        self._given_up.discard(number)

    def expire(self, now: Seconds) -> list[F]:
        """Give up the flights whose answer was due by `now`, and return them."""
        gone = [number for number, expected in self._expected.items() if expected.due <= now]
        self._given_up.update(gone)
        return [self._expected.pop(number).flight for number in gone]

    def abandon(self) -> list[F]:
        """The connection is gone: no answer to anything will come. Returns the flights that waited."""
        flights = [expected.flight for expected in self._expected.values()]
        self._expected.clear()
        self._given_up.clear()
        self.link.restart()
        return flights

    @property
    def next_due(self) -> Seconds | None:
        """When `expire` has something to do next."""
        return min((expected.due for expected in self._expected.values()), default=None)
