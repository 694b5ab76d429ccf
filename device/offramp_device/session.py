"""The session with an edge: one warm stream at a time, found again by itself when it breaks.

stage threads ── send ───► ledger ──► stream ──► edge
              ◄─ deliver ─ ledger ◄── stream ◄──┘         all but `send` on the event loop

While there is no stream, or the edge has not opened a plan, or the link is too slow, `send` refuses and the device
answers alone.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable

from offramp.clock import Clock, SystemClock
from offramp.errors import LinkError, OfframpError
from offramp.measure.link import LinkEstimate, LinkEstimator
from offramp.records import Answer
from offramp.units import Bytes, Seconds
from offramp.wire.address import Address
from offramp.wire.channels import FIRST_BACKOFF, LAST_BACKOFF, open_aio_channel
from offramp.wire.framing import request_wire_bytes, wire_bytes
from offramp.wire.tls import ClientTls
from offramp_device.admission import MAX_UNANSWERED, Ledger
from offramp_device.bindings import Bindings
from offramp_device.flight import Flight
from offramp_device.loop import LoopThread
from offramp_device.route import Route
from offramp_device.stream import PING_BYTES, EdgeStream, bind_frame, ping_frame, request_frame, why_ended
from offramp_device.uplink import Deliver
from offramp_device.vigil import FIRST_WORD, PROBE_PADDING, SILENCE, WATCH, Vigil

Passenger = tuple[Flight, Deliver]


class EdgeSession:
    """An uplink over gRPC. `open` starts it, `close` ends it; a context manager."""

    def __init__(
        self,
        address: Address,
        *,
        tls: ClientTls | None = None,
        clock: Clock | None = None,
        max_unanswered: Bytes = MAX_UNANSWERED,
        tell: Callable[[str], None] = lambda _message: None,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        """`tell` takes what people should know; `news` is called on the event loop when the link was found, measured
        for the first time on a connection, changed at a step, lost, or left a sample without its answer.
        """
        self.address = address
        self.connections = 0
        """Streams on which the edge has said something."""
        self.ping_bytes = Bytes(0)
        """Written to learn about the link, beside what samples take."""
        self._tls = tls
        self._clock = clock or SystemClock()
        self._tell = tell
        self._told = ""
        self._news = news
        self._sockets = LoopThread()
        self._running: asyncio.Task[None] | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._ledger: Ledger[Passenger] = Ledger(LinkEstimator(), max_unanswered)
        self._bindings = Bindings()
        self._stream: EdgeStream | None = None
        self._problem = ""
        """Why there is no stream; empty before the first attempt has failed."""
        self._vigil = Vigil()
        self._first_word = asyncio.Event()
        self._first_probe = 0
        """Number of the ping that tells the rate of a new connection."""
        self._expiry: asyncio.TimerHandle | None = None

    def open(self) -> "EdgeSession":
        """
        Raises:
            InputError: A TLS file is not what it should be.
        """
        if self._tls is not None:
            self._tls.credentials()  # so that a wrong file is an error here, and not one more lost link
        self._sockets.__enter__()
        self._sockets.spawn(self._start()).result()
        return self

    def __enter__(self) -> "EdgeSession":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            if self._closing or self._running is None:
                return
            self._closing = True
        self._sockets.spawn(self._end()).result()
        self._sockets.__exit__()

    @property
    def late(self) -> int:
        """Answers that came after their flight was given up."""
        return self._ledger.late

    @property
    def connected(self) -> bool:
        """There is a stream on which the edge has said something."""
        return self._stream is not None

    def estimate(self) -> LinkEstimate | None:
        """What is believed about the link; None until something was learned."""
        with self._lock:
            return self._ledger.link.estimate(self._clock.now())

    # The uplink, from any thread.

    def prepare(self, route: Route, patience: Seconds) -> None:
        if route.ends:
            return
        with self._changed:
            for one in route.both:
                self._bindings.want(one)
            self._sockets.loop.call_soon_threadsafe(self._bind)
            self._changed.wait_for(
                lambda: self._problem or self._closing or all(map(self._bindings.settled, route.both)),
                timeout=patience,
            )

    def unready(self, route: Route) -> str:
        if self._stream is None:
            return self._problem or "not connected to the edge yet"
        return self._bindings.unready(route)

    def send(self, flight: Flight, deliver: Deliver) -> str:
        nbytes = request_wire_bytes(len(flight.payload) + len(flight.alive))
        with self._lock:
            ref = None if self._closing or self._stream is None else self._bindings.reference(flight.route)
            if ref is None:
                return "the device is stopping" if self._closing else self.unready(flight.route)
            now = self._clock.now()
            if reason := self._ledger.refusal(nbytes, flight.due, now):
                self._vigil.starved()
                return reason
            number = self._ledger.enter((flight, deliver), nbytes, flight.due, now)
            # Inside the lock, so that frames are written in the order in which the link estimate counts them.
            self._sockets.loop.call_soon_threadsafe(self._launch, number, ref, flight)
        return ""

    # What the edge says, on the event loop.

    def bound(self, ref: int, error: OfframpError | None) -> None:
        with self._changed:
            self._vigil.heard(self._clock.now())
            self._bindings.heard(ref, "" if error is None else str(error))
            self._changed.notify_all()
        if error is not None:
            self._tell_once(f"the edge at {self.address} refuses the plan: {error}; answering on the device")

    def answered(self, number: int, outcome: Answer | OfframpError) -> None:
        now = self._clock.now()
        with self._lock:
            self._vigil.heard(now)
            refused = isinstance(outcome, OfframpError)
            passenger = self._ledger.fail(number) if refused else self._ledger.take(number)
        if passenger is not None:
            flight, deliver = passenger
            deliver(flight, outcome if isinstance(outcome, Answer) else str(outcome))
        if isinstance(outcome, Answer):
            # Last: while a thread wakes up for the answer, there is time to learn from it.
            self._learn(number, outcome.timings.total, now)

    def ponged(self, number: int) -> None:
        now = self._clock.now()
        with self._lock:
            self._vigil.heard(now)
        self._learn(number, Seconds(0.0), now)
        self._first_word.set()
        if number == self._first_probe:
            self._news()

    def _learn(self, number: int, edge: Seconds, now: Seconds) -> None:
        link = self._ledger.link
        with self._lock:
            before = link.changes
            link.answered(number, edge, now)
            self._vigil.learned(now)
        if link.changes != before:
            self._news()

    # The life of streams, on the event loop.

    async def _start(self) -> None:
        self._running = asyncio.create_task(self._keep_connected())

    async def _end(self) -> None:
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._running = None  # its exception keeps the last stream, and so the connection, alive
        if self._expiry is not None:
            self._expiry.cancel()
        self._abandon("the device is stopping")

    async def _keep_connected(self) -> None:
        pause = FIRST_BACKOFF
        while True:
            before = self.connections
            reason = await self._converse()
            self._abandon(f"no edge: {reason}")
            self._tell_once(f"no edge at {self.address}: {reason}; answering on the device, trying again")
            if self.connections > before:
                pause = FIRST_BACKOFF
            await asyncio.sleep(pause)
            pause = min(Seconds(2 * pause), LAST_BACKOFF)

    async def _converse(self) -> str:
        """One stream to its end; returns why it ended. An exception here would keep stream and connection alive.

        On a channel of its own, so that no back-off of gRPC's delays the next.
        """
        stream = EdgeStream(open_aio_channel(self.address, self._tls), self)
        tasks = [asyncio.ensure_future(work) for work in (stream.listen(), self._watch(stream))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await stream.close()
        return next(map(why_ended, (error for error in ended if not isinstance(error, asyncio.CancelledError))))

    async def _watch(self, stream: EdgeStream) -> None:
        """Welcome the edge when it has said its first word; then look for silence and starvation."""
        self._first_word.clear()
        # It waits for the connection's own first round trip too, so the link is not judged by it.
        greeting = self._ledger.number()
        stream.push(lambda: ping_frame(greeting))
        try:
            await asyncio.wait_for(self._first_word.wait(), FIRST_WORD)
        except TimeoutError:
            raise LinkError(f"it does not answer within {FIRST_WORD:g} s") from None
        with self._changed:
            self.connections += 1
            self._stream, self._problem = stream, ""
        self._tell_once(f"connected to the edge at {self.address}{' again' * (self.connections > 1)}")
        self._news()
        # One after the other: what a padded one takes longer than an empty one is the rate.
        self._first_word.clear()
        self._ping(stream)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_word.wait(), FIRST_WORD)
        self._first_probe = self._ping(stream, PROBE_PADDING)
        while True:
            self._bind()
            await asyncio.sleep(WATCH)
            with self._lock:
                link, now = self._ledger.link, self._clock.now()
                if self._vigil.is_dead(link, now):
                    raise LinkError(f"it has been silent for {SILENCE:g} s")
                padding = self._vigil.ping(link, now)
            if padding is not None:
                self._ping(stream, padding)

    def _bind(self) -> None:
        stream = self._stream
        if stream is None:
            return
        with self._lock:
            due = self._bindings.due(self._clock.now())
        for ref, binding in due:
            frame = bind_frame(ref, binding)
            stream.push(lambda frame=frame: frame)  # type: ignore[misc]

    def _ping(self, stream: EdgeStream, padding: int = 0) -> int:
        with self._lock:
            number, nbytes = self._ledger.number(), wire_bytes(PING_BYTES + padding)
            self._ledger.link.sent(number, nbytes, self._clock.now())
            self.ping_bytes = Bytes(self.ping_bytes + nbytes)
        stream.push(lambda: ping_frame(number, padding))
        return number

    def _launch(self, number: int, ref: int, flight: Flight) -> None:
        stream = self._stream
        if stream is None:  # it broke a moment ago, and `_abandon` has delivered the flight
            return
        stream.push(lambda: self._write(number, ref, flight))
        if self._expiry is None:
            self._expire()

    def _write(self, number: int, ref: int, flight: Flight) -> bytes | None:
        if not self._ledger.expects(number):
            with self._lock:
                self._ledger.withdraw(number)
            return None
        frame = request_frame(ref, number, Seconds(flight.due - self._clock.now()), flight.payload, flight.alive)
        flight.wire_bytes = wire_bytes(len(frame))
        return frame

    def _expire(self) -> None:
        """Deliver what is due, and come back when the next is."""
        now = self._clock.now()
        with self._lock:
            expired, due = self._ledger.expire(now), self._ledger.next_due
        self._expiry = None
        if due is not None:
            self._expiry = asyncio.get_running_loop().call_later(max(due - now, 0.0), self._expire)
        for flight, deliver in expired:
            deliver(flight, "no answer from the edge in time")
        if expired:
            self._news()

    def _abandon(self, reason: str) -> None:
        with self._changed:
            lost = self._stream is not None
            self._stream, self._problem = None, reason
            self._bindings.lose()
            passengers = self._ledger.abandon()
            self._changed.notify_all()
        for flight, deliver in passengers:
            deliver(flight, reason)
        if lost:
            self._news()

    def _tell_once(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._tell(message)
