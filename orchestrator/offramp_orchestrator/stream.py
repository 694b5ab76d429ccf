"""One caller's stream, from the controller's side: what is to be written on it, and how it ends."""

import asyncio
import contextlib

import grpc.aio

Context = grpc.aio.ServicerContext[bytes, bytes]


class Stream:
    """Made in the task that serves it. Writes without keeping anybody waiting; only the newest message matters."""

    __slots__ = ("_context", "_next", "_task", "_writing", "error", "name")

    def __init__(self, context: Context) -> None:
        self.name = ""
        """Of the caller; empty before its hello."""
        self.error: Exception | None = None
        """Why we ended it; None while we did not."""
        self._context = context
        self._next: bytes | None = None
        self._writing: asyncio.Task[None] | None = None
        task = asyncio.current_task()
        assert task is not None, "a stream is made where it is served"
        self._task = task

    def send(self, message: bytes) -> None:
        """Write it soon. What was to be written before and was not is left out: an order says all there is to say."""
        self._next = message
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def end(self, error: Exception) -> None:
        """Interrupt whoever serves it; `error` is what the caller will be told."""
        if self.error is None:
            self.error = error
            self._task.cancel()

    async def written(self) -> None:
        """Once nothing is left to write."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        # The reader learns why a stream broke; here it only means that nobody hears this any more.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            while (message := self._next) is not None:
                self._next = None
                await self._context.write(message)
        self._writing = None
