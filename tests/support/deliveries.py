"""A server that delivers bundles, and remembers what it was asked for."""

import contextlib
from collections.abc import AsyncIterator

import grpc.aio

from offramp.bundle.store import Bundle
from offramp.wire.address import Address, parse_address
from offramp.wire.channels import listen, server_options
from offramp.wire.delivery import Context, DeliveryService
from offramp.wire.tls import ServerTls
from offramp.wire.v1 import control_pb2 as pb


class RememberingDelivery(DeliveryService):
    """Delivers as it should; `fetches` are the requests for files, in order."""

    def __init__(self, *bundles: Bundle) -> None:
        super().__init__(bundles)
        self.fetches: list[pb.FetchRequest] = []

    async def fetch(self, raw: bytes, context: Context) -> None:
        self.fetches.append(pb.FetchRequest.FromString(raw))
        await super().fetch(raw, context)

    def asked(self, file: str) -> list[int]:
        """Offsets at which a file was asked for."""
        return [request.offset for request in self.fetches if request.file == file]


@contextlib.asynccontextmanager
async def delivering(service: DeliveryService, tls: ServerTls | None = None) -> AsyncIterator[Address]:
    server = grpc.aio.server(options=server_options())
    server.add_generic_rpc_handlers((service.handler(),))
    address = listen(server, parse_address("127.0.0.1:0", listen=True), tls)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(None)
