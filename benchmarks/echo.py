"""The floor of the transport: the edge's kind of server with nothing behind it.

python -m benchmarks.echo LENGTH     answers every frame of every stream with LENGTH bytes; prints its port
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from offramp.wire.address import Address
from offramp.wire.channels import listen, server_options

SERVICE, METHOD = "offramp.benchmarks.Echo", "Stream"


async def serve(length: int) -> None:
    answer = bytes(length)

    async def stream(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(await context.read(), bytes):
            await context.write(answer)

    server = grpc.aio.server(options=server_options())
    handlers: dict[str, Any] = {METHOD: grpc.stream_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = listen(server, Address(host="127.0.0.1", port=0))
    await server.start()
    print(address.port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
