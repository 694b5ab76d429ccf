"""A link of packets: two TUN devices, one of them in a namespace, with the link between them in user space.

    this namespace  near ══[ queue ─► rate ─► delay ]══► far  namespace        up: from far to near
                         ◄══[ delay ◄─ rate ◄─ queue ]══

Unlike the proxy it carries IP packets as they are, so that TCP runs from end to end over the emulated link: slow start,
congestion control, handshakes and retransmissions of what the queue drops are the kernel's own. Root alone makes one.
"""

import asyncio
import contextlib
import fcntl
import os
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from offramp.errors import SettingsError
from offramp.units import Bytes, Seconds
from offramp_evaluation.shaper.following import Following
from offramp_evaluation.shaper.lane import Flight, Lane
from offramp_evaluation.shaper.link import Link, Schedule
from offramp_evaluation.shaper.namespaces import a_namespace, inside, ip, near_card

TUN = Path("/dev/net/tun")
SET_INTERFACE = 0x400454CA
"""TUNSETIFF."""
RAW = 0x0001 | 0x1000
"""IFF_TUN, IFF_NO_PI: whole IP packets and nothing else."""
LARGEST = 2_048
"""Bytes of a packet, more than the 1,500 of the devices."""
QUEUE = Bytes(200_000)
"""That wait in front of the link each way; a packet that finds no room is dropped, as a router drops it."""
PATIENT = 1 << 30
"""In flight: the link's own length is no bound here."""


@contextlib.contextmanager
def tun_pair(name: str, near: str, far: str) -> Iterator[tuple[int, int]]:
    """The two ends, to be read and written packet by packet: a device here, and one in a namespace of this name.

    Raises:
        SettingsError: They cannot be made; the message says what is lacking.
    """
    if not TUN.exists():
        raise SettingsError(f"there is no {TUN}; load the kernel's module with `modprobe tun`, or shape by proxy")
    card = near_card(name)
    with a_namespace(name), contextlib.ExitStack() as opened:
        here = _open(card)
        opened.callback(os.close, here)
        with inside(name):
            there = _open("far")
        opened.callback(os.close, there)
        # Addresses of two machines that face each other: whatever else there is does not route between them.
        ip("address", "add", near, "peer", far, "dev", card)
        ip("-n", name, "address", "add", far, "peer", near, "dev", "far")
        ip("link", "set", card, "up")
        ip("-n", name, "link", "set", "far", "up")
        ip("-n", name, "route", "add", "default", "dev", "far")
        yield here, there


class PacketLink:
    """A `Line`; opened with `async with`, on the running event loop."""

    def __init__(self, name: str, near: str, far: str, schedule: Schedule) -> None:
        """A link into a fresh namespace of this name, between these addresses."""
        self.following = Following(schedule, self._change)
        self._name, self._near, self._far = name, near, far
        self._opened = contextlib.ExitStack()
        self._ways: list[_Way] = []

    async def __aenter__(self) -> "PacketLink":
        """
        Raises:
            SettingsError: It cannot be made; the message says what is lacking.
        """
        here, there = self._opened.enter_context(tun_pair(self._name, self._near, self._far))
        link = self.following.link
        self._ways = [_Way(there, here, Lane(link.up, link.delay)), _Way(here, there, Lane(link.down, link.delay))]
        for way in self._ways:
            way.open()
        self.following.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.following.stop()
        for way in self._ways:
            await way.close()
        self._opened.close()

    @property
    def place(self) -> str:
        return self._near

    def counts(self) -> dict[str, int]:
        """Bytes are those of IP packets; `dropped` are packets that found the queue full."""
        up, down = self._ways
        return {
            "up_bytes": up.lane.carried,
            "down_bytes": down.lane.carried,
            "dropped": up.dropped + down.dropped,
        }

    def _change(self, link: Link) -> None:
        up, down = self._ways
        up.lane.change(link.up, link.delay)
        down.lane.change(link.down, link.delay)


class _Way:
    """One direction."""

    def __init__(self, source: int, sink: int, lane: Lane) -> None:
        self.lane = lane
        self.dropped = 0
        self._source, self._sink = source, sink
        self._queue: deque[tuple[Seconds, bytes]] = deque()
        self._waiting = 0
        self._came = asyncio.Event()
        self._flight = Flight()
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        os.set_blocking(self._source, False)
        loop.add_reader(self._source, self._read)
        self._tasks = [loop.create_task(self._carry()), loop.create_task(self._deliver())]

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._source)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _read(self) -> None:
        now = Seconds(asyncio.get_running_loop().time())
        while True:
            try:
                packet = os.read(self._source, LARGEST)
            except BlockingIOError:
                return
            if self._waiting + len(packet) > QUEUE:
                self.dropped += 1
                continue
            self._queue.append((now, packet))
            self._waiting += len(packet)
            self._came.set()

    async def _carry(self) -> None:
        while True:
            while not self._queue:
                self._came.clear()
                await self._came.wait()
            ready, packet = self._queue.popleft()
            left = await self.lane.carry(len(packet), ready)
            self._waiting -= len(packet)
            await self._flight.put(left, packet, PATIENT)

    async def _deliver(self) -> None:
        while True:
            left, packet = await self._flight.first()
            await self.lane.arrival(left)
            self._flight.drop()
            with contextlib.suppress(OSError):  # the device is going down: then nobody waits for it
                os.write(self._sink, packet or b"")


def _open(card: str) -> int:
    try:
        opened = os.open(TUN, os.O_RDWR)
    except OSError as error:
        raise SettingsError(f"{TUN} cannot be opened: {os.strerror(error.errno or 0)}; run it as root") from error
    try:
        fcntl.ioctl(opened, SET_INTERFACE, struct.pack("16sH22x", card.encode(), RAW))
    except OSError as error:
        os.close(opened)
        raise SettingsError(f"the TUN device {card} cannot be made: {os.strerror(error.errno or 0)}") from error
    return opened
