"""Whether the link is alive, and when a ping is worth its bytes. Pure: `now` is passed in.

An answer says all that a ping could. So pings are for when there are none: before the first sample, while the link is
too slow for samples, and while nobody has anything to send.
"""

from offramp.measure.link import LinkEstimator
from offramp.units import Bytes, Seconds

FIRST_WORD = Seconds(2.0)
"""An edge that has accepted a stream answers a ping within this time, or the connection is tried afresh."""
SILENCE = Seconds(3.0)
"""Nothing heard for so long though something is unanswered: TCP's own retries have backed off too far by now, and a
fresh connection is faster."""
WATCH = Seconds(0.25)
"""How often to look."""
PROBE_AFTER = Seconds(1.0)
"""When sending was refused and nothing was learned for so long, a packet is spent to see whether the link is better."""
PING_AFTER = Seconds(1.0)
"""Otherwise a ping is spent when nothing was learned for so long, an empty and a padded one in turn: a dead link is
known before a sample needs it, and a faster one within about a second, for 700 bytes a second at most."""
CONFIRM_AFTER = Seconds(0.2)
"""The same for the next two after a step was recognised: one answer told of it, and what it is now is worth a look."""
PROBE_PADDING = Bytes(1_200)
"""Bytes that make a ping fill one packet: enough to see a rate of a few Mbit/s in its time, too few to disturb one."""


class Vigil:
    """Not safe from several threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._heard_at = self._learned_at = Seconds(0.0)
        self._starved = False
        self._last = PROBE_PADDING
        """Padding of the last ping."""
        self._changes = self._confirm = 0
        """Steps of the link that were seen, and pings that are still worth sending for the last of them."""

    def heard(self, now: Seconds) -> None:
        """The edge has said something."""
        self._heard_at = now

    def learned(self, now: Seconds) -> None:
        """It said something that tells about the link."""
        self._learned_at, self._starved = now, False

    def starved(self) -> None:
        """A sample was refused: the link is too slow, or seems so."""
        self._starved = True

    def is_dead(self, link: LinkEstimator, now: Seconds) -> bool:
        """Something is unanswered, and nothing was heard for too long."""
        oldest = link.oldest()
        return oldest is not None and now - max(oldest, self._heard_at) > SILENCE

    def ping(self, link: LinkEstimator, now: Seconds) -> Bytes | None:
        """The padding of a ping that should be sent now; None when none should."""
        if link.unanswered:
            return None
        if link.changes != self._changes:
            self._changes, self._confirm = link.changes, 2
        quiet = now - self._learned_at
        if self._starved and quiet > PROBE_AFTER:
            return PROBE_PADDING
        if quiet <= (CONFIRM_AFTER if self._confirm else PING_AFTER):
            return None
        self._confirm = max(self._confirm - 1, 0)
        self._last = Bytes(PROBE_PADDING - self._last)
        return self._last
