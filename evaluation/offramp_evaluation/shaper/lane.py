"""One direction of the link, as a place that bytes pass through in real time.

chunk ─► carry: one after the other at the rate ─► Flight: the delay ─► delivered
"""

import asyncio
import math
from collections import deque

from offramp.units import BitsPerSecond, Bytes, Seconds
from offramp_evaluation.shaper.pacer import Pacer

PACKET = 1_448
"""Bytes of a full TCP segment on Ethernet: what the link takes at a time when it is slow."""
QUANTUM = 1e-3
"""Seconds of transmission that it takes at a time when it is fast: 12.5 KB at 100 Mbit/s, 1,000 wake-ups a second."""
LARGEST = 65_536
"""Taken at a time when the rate is not limited."""
AHEAD = 4e-4
"""Seconds: a chunk that leaves this soon is let go now. Its delivery is scheduled from the exact time all the same,
and a sleep costs about as much."""
LATEST = 5e-4
"""Seconds: timers are aimed this much too early at most, to make up for being late."""


class Lane:
    """Shared by all connections, which take turns chunk by chunk; works on the running event loop."""

    def __init__(self, rate: BitsPerSecond, delay: Seconds) -> None:
        self.delay = delay
        self.carried = Bytes(0)
        """Bytes that have left the link, in all."""
        self._pacer = Pacer(rate)
        self._turn = asyncio.Lock()  # first come, first served
        self._sleepers: set[asyncio.Future[None]] = set()
        self._late = 0.0  # by how much timers are late, smoothed: 0.2 ms after a sleep of 10 ms on an idle machine

    @property
    def rate(self) -> BitsPerSecond:
        return self._pacer.rate

    @property
    def quantum(self) -> int:
        """Bytes to take at a time."""
        return round(min(max(self.rate * QUANTUM / 8, PACKET), LARGEST))

    @property
    def in_flight(self) -> int:
        """Bytes that one connection may have on their way: what fits into the link, and a receive window."""
        return LARGEST + (0 if self.rate == math.inf else round(2 * self.rate * self.delay / 8))

    def change(self, rate: BitsPerSecond, delay: Seconds) -> None:
        self._pacer.change(rate, Seconds(asyncio.get_running_loop().time()))
        self.delay = delay
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def carry(self, nbytes: int, ready: Seconds) -> Seconds:
        """Wait until the link has taken the bytes, ready since `ready`. Returns when the last one has left it."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            self._pacer.give(nbytes, ready)
            while (free_at := self._pacer.free_at) > loop.time() + AHEAD:
                await self._sleep(free_at)
        self.carried = Bytes(self.carried + nbytes)
        return free_at

    async def arrival(self, left: Seconds) -> None:
        """Wait until what left the link at `left` is at its other end. In an outage nothing arrives."""
        loop = asyncio.get_running_loop()
        while self.rate <= 0 or left + self.delay - self._late > loop.time():
            await self._sleep(Seconds(math.inf if self.rate <= 0 else left + self.delay))

    async def _sleep(self, until: Seconds) -> None:
        """Sleep until then (for ever when infinite) or until the link changes."""
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        timer = loop.call_at(until - self._late, _wake, sleeper) if until < math.inf else None
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            if timer is not None:
                timer.cancel()
        late = loop.time() - (until - self._late)
        if late > 0:  # else the link changed
            self._late += 0.1 * (min(late, LATEST) - self._late)


class Flight:
    """Chunks of one connection that are on their way: in order, bounded, each with the time it left the link.

    An empty chunk is the end of the stream, None that its sender broke it off.
    """

    def __init__(self) -> None:
        self._chunks: deque[tuple[Seconds, bytes | None]] = deque()
        self._held = 0
        self._moved = asyncio.Event()

    async def put(self, left: Seconds, chunk: bytes | None, bound: int) -> None:
        """Add a chunk; waits while more than `bound` bytes have not been taken by the receiver."""
        while self._held > bound:
            await self._wait()
        self._chunks.append((left, chunk))
        self._held += len(chunk or b"")
        self._moved.set()

    async def first(self) -> tuple[Seconds, bytes | None]:
        """The oldest chunk, which stays until `drop`."""
        while not self._chunks:
            await self._wait()
        return self._chunks[0]

    def drop(self) -> None:
        _, chunk = self._chunks.popleft()
        self._held -= len(chunk or b"")
        self._moved.set()

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
