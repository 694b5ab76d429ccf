"""What a temporal exit policy remembers of each stream, from one of its samples to the next.

    recall ─► state ─ decide … decide ─ answer ─ settle ─► state of the stream's next sample

Several samples of a stream may be on their way at once, and their answers come in any order. A sample is decided by
what was settled when it began: while a scene's first sample is still at the edge, those behind it are not recognised
and go there too. Of two answers, the one of the sample that began later counts, whichever comes first.
"""

import threading
from collections import OrderedDict

from offramp.exits.policy import NO_STATE, State
from offramp.plan import ExitRule
from offramp.units import Seconds

Exits = tuple[str, ExitRule]
"""Digest of a network, and the rule by which samples leave it: what a memory belongs to."""

MAX_STREAMS = 1024
"""Streams that are remembered: local programs choose their names, and a device may run for months."""


class Streams:
    """Of one device. Safe from several threads: samples begin in one, answers come in another."""

    def __init__(self, exits: Exits, most: int = MAX_STREAMS) -> None:
        self._exits = exits
        self._most = most
        self._known: OrderedDict[str, tuple[Seconds, State]] = OrderedDict()
        """By stream, the one forgotten next first: when the sample began that was settled last, and what it left."""
        self._lock = threading.Lock()

    def follow(self, exits: Exits) -> None:
        """Another plan is in force; what was remembered for other exits than these means nothing any more."""
        with self._lock:
            if exits != self._exits:
                self._exits = exits
                self._known.clear()

    def recall(self, stream: str, exits: Exits) -> State:
        """What is known to a sample that begins now, and meets these."""
        with self._lock:
            if exits != self._exits or stream not in self._known:
                return NO_STATE
            self._known.move_to_end(stream)
            return self._known[stream][1]

    def settle(self, stream: str, exits: Exits, began: Seconds, state: State) -> None:
        """A sample that began then, and met these, has its answer; the state is that of the next one."""
        with self._lock:
            known = self._known.get(stream)
            if exits != self._exits or (known is not None and began < known[0]):
                return
            self._known[stream] = (began, state)
            self._known.move_to_end(stream)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
