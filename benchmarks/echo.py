"""The floor of the transport: both ends' kind of gRPC, with nothing around it.

python -m benchmarks.echo LENGTH     answers every frame of every stream with LENGTH bytes; prints its port
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from offramp.wire.address import Address
from offramp.wire.channels import listen, open_aio_channel, server_options
from offramp_device.loop import LoopThread

SERVICE, METHOD = "offramp.benchmarks.Echo", "Stream"


Answer = Callable[[bytes], bytes]


async def serve(answer: Answer) -> None:
    """Answer each frame of each stream until the end of the process; prints the port."""

    async def stream(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(frame := await context.read(), bytes):
            await context.write(answer(frame))

    server = grpc.aio.server(options=server_options())
    handlers: dict[str, Any] = {METHOD: grpc.stream_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = listen(server, Address(host="127.0.0.1", port=0))
    await server.start()
    print(address.port, flush=True)
    await server.wait_for_termination()


class EchoClient:
    """One stream on an event loop in a thread of its own, and a caller who waits: as in a device. A context manager."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sockets = LoopThread()
        self._came = threading.Lock()
        self._came.acquire()
        self._answer: object = b""
        self._writing: asyncio.Task[None] | None = None

    def __enter__(self) -> "EchoClient":
        self._sockets.__enter__()
        self._sockets.spawn(self._open()).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.__exit__()

    def ask(self, frame: bytes) -> object:
        """The answer to a frame; gRPC's end of stream when the server is gone."""
        self._sockets.loop.call_soon_threadsafe(self._push, frame)
        self._came.acquire()
        return self._answer

    async def _open(self) -> None:
        channel = open_aio_channel(self._address)
        self._call: Any = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        self._listening = asyncio.create_task(self._listen())

    def _push(self, frame: bytes) -> None:
        self._writing = self._sockets.loop.create_task(self._write(frame, self._writing))

    async def _write(self, frame: bytes, before: asyncio.Task[None] | None) -> None:
        # An answer can be here before gRPC has reported that its question was written, and allows one write at a time.
        if before is not None:
            await before
        await self._call.write(frame)

    async def _listen(self) -> None:
        answer: object = b""
        while isinstance(answer, bytes):
            self._answer = answer = await self._call.read()
            self._came.release()


if __name__ == "__main__":
    always = bytes(int(sys.argv[1]))
    asyncio.run(serve(lambda _: always))
