"""A server that echoes streams of bytes, and a proxy that counts them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from offramp.wire.address import Address, parse_address
from offramp.wire.channels import listen, server_options
from offramp.wire.tls import ServerTls

ECHO = "/test.Echo/Stream"
Call = grpc.aio.StreamStreamCall[bytes, bytes]


@contextlib.asynccontextmanager
async def echo_server(address: str = "127.0.0.1:0", tls: ServerTls | None = None) -> AsyncIterator[Address]:
    async def echo(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(message := await context.read(), bytes):
            await context.write(message[:64])

    handler = grpc.method_handlers_generic_handler("test.Echo", {"Stream": grpc.stream_stream_rpc_method_handler(echo)})
    server = grpc.aio.server(options=server_options())
    server.add_generic_rpc_handlers((handler,))
    bound = listen(server, parse_address(address, listen=True), tls)
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0)


async def echoed(channel: grpc.aio.Channel, message: bytes = b"hello") -> bytes:
    """What one message on a stream of its own comes back as."""
    call: Call = channel.stream_stream(ECHO)()
    await call.write(message)
    answer = await call.read()
    call.cancel()
    assert isinstance(answer, bytes)
    return answer


class CountingProxy:
    """Forwards TCP and counts what the client writes."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._pumps: set[asyncio.Task[None]] = set()
        self.uplink = 0

    async def __aenter__(self) -> "CountingProxy":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = Address(host="127.0.0.1", port=self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._target.host, self._target.port)
        self._pumps.add(asyncio.create_task(self._pump(reader, far_writer, counts=True)))
        self._pumps.add(asyncio.create_task(self._pump(far_reader, writer, counts=False)))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.uplink += len(data) * counts
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
