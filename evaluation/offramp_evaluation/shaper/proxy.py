"""The shaper: a TCP proxy whose two directions are as wide and as long as the emulated link.

    device ══► [ rate ─► delay ] ══► edge        up
    device ◄══ [ delay ◄─ rate ] ◄══ edge        down

All connections share the two directions, chunk by chunk. The rate counts the bytes of the TCP streams, without the
headers of TCP and IP. Buffers are small, so that a sender feels the link and not the proxy's memory; what it writes
beyond that waits in its own socket, as it would in front of a real link.

What it cannot show: it ends TCP on both sides, so there is no loss, no slow start and no congestion control over the
emulated link, and the kernel completes a connection's handshake at once. A new connection therefore waits one round
trip before its first byte moves; in an outage it stays open and nothing moves.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Coroutine

from offramp.errors import SettingsError
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp_evaluation.shaper.following import Following
from offramp_evaluation.shaper.lane import Flight, Lane
from offramp_evaluation.shaper.link import Link, Schedule

RECEIVE = 16_384
"""Bytes asked for the buffers that the sender fills; at 0.5 Mbit/s they hold about a quarter of a second."""
SEND = 16_384
CONNECTIONS = 400
"""At a time, two sockets each; further ones wait to be accepted. `select`, which keeps the time, stops at 1,024."""
RESET = None
"""In a flight: the sender's connection broke."""


class Proxy:
    """A `Line`; opened with `async with`, on the running event loop."""

    def __init__(self, listen: Address, to: Address, schedule: Schedule) -> None:
        for address in (listen, to):
            if address.path:
                raise SettingsError(f"the shaper shapes TCP; give HOST:PORT instead of {address}")
        self._listen, self._to = listen, to
        self.following = Following(schedule, self._change)
        first = self.following.link
        self._up = Lane(first.up, first.delay)
        self._down = Lane(first.down, first.delay)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> "Proxy":
        """Listen, and run the schedule from now on.

        Raises:
            SettingsError: The address cannot be listened at: the port is in use, say.
        """
        try:
            server = socket.create_server(_pair(self._listen), family=_family(self._listen), backlog=128)
        except OSError as error:
            raise SettingsError(
                f"the shaper cannot listen at {self._listen}: {os.strerror(error.errno or 0)}; "
                "choose another port, or port 0 for any"
            ) from error
        server.setblocking(False)
        # On the listening socket, since the window that a connection may have is settled by its handshake.
        _limit_buffers(server)
        self._spawn(self._accept(server))
        self.following.start()
        self._listen = Address(host=self._listen.host, port=server.getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything, with what is on its way."""
        await self.following.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def place(self) -> str:
        """Where it listens, once it was entered."""
        return str(self._listen)

    def counts(self) -> dict[str, int]:
        return {"connections": self._connections, "up_bytes": self._up.carried, "down_bytes": self._down.carried}

    def _change(self, link: Link) -> None:
        """What is on its way feels it too."""
        self._up.change(link.up, link.delay)
        self._down.change(link.down, link.delay)

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with server:
            while True:
                await self._room.acquire()
                client, _ = await loop.sock_accept(server)
                self._connections += 1
                self._spawn(self._serve(client)).add_done_callback(lambda _: self._room.release())

    async def _serve(self, client: socket.socket) -> None:
        """One connection, until both directions have ended or one side broke it."""
        loop = asyncio.get_running_loop()
        server = socket.socket(_family(self._to), socket.SOCK_STREAM)
        with client, server:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _limit_buffers(server)
            try:
                await self._shake_hands()
                await loop.sock_connect(server, _pair(self._to))
                async with asyncio.TaskGroup() as group:
                    for source, sink, lane in ((client, server, self._up), (server, client, self._down)):
                        flight = Flight()
                        group.create_task(_take(source, lane, flight))
                        group.create_task(_deliver(sink, lane, flight))
            except* OSError:
                _break(client)
                _break(server)

    async def _shake_hands(self) -> None:
        loop = asyncio.get_running_loop()
        for lane in (self._up, self._down):
            await lane.arrival(Seconds(loop.time()))

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _take(source: socket.socket, lane: Lane, flight: Flight) -> None:
    """Move bytes from a socket onto the link, no faster than the link takes them."""
    loop = asyncio.get_running_loop()
    left = Seconds(loop.time())
    while True:
        # Bytes that are there already waited for the link, so the link has not been idle since the last ones left;
        # counting from now would lose the lateness of every timer.
        ready = left
        chunk: bytes | None = RESET
        try:
            try:
                chunk = source.recv(lane.quantum)
            except BlockingIOError:
                chunk = await loop.sock_recv(source, lane.quantum)
                ready = Seconds(loop.time())
        except ConnectionError:
            pass  # it stays a RESET, which arrives at the other end as one
        left = await lane.carry(len(chunk or b""), ready)
        await flight.put(left, chunk, lane.in_flight)
        if not chunk:
            return


async def _deliver(sink: socket.socket, lane: Lane, flight: Flight) -> None:
    """Hand bytes to the other end when they arrive there."""
    loop = asyncio.get_running_loop()
    while True:
        left, chunk = await flight.first()
        await lane.arrival(left)
        if chunk is RESET:
            raise ConnectionResetError("the sender broke the connection")
        if not chunk:
            with contextlib.suppress(OSError):  # the receiver is gone already: then there is nothing to end
                sink.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sink, chunk)
        flight.drop()


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _pair(address: Address) -> tuple[str, int]:
    return address.host, address.port


def _limit_buffers(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND)


def _break(end: socket.socket) -> None:
    """Let the close that follows be a reset: the peer learns that the connection broke, not that it ended."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
