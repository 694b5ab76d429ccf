"""Runs the tails: what is queued when the model becomes idle is the next batch.

    submit ─► Batcher ─► decode ─► tail.run ─► done(Answer or error)
                │            │         └ who leaves at a branch is done at once, the others go on
                │            └ ahead of time, in a thread of its own, while the model is busy
                └ late: refused before any work starts

Everything here happens on the event loop, but for `_work` and `_decode`, which may run in threads: they touch nothing
but their requests.

# N samples, K classes, k ≤ K of them in an answer
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.clock import Clock
from offramp.errors import DeadlineError, LinkError, PayloadError
from offramp.records import Answer, EdgeTimings, Feature
from offramp.tail import Heard, answer_of
from offramp.units import Bytes, Seconds, format_seconds
from offramp.wire.convert import alive_from_proto
from offramp_edge_server.batcher import Batcher, Job
from offramp_edge_server.costs import Costs
from offramp_edge_server.load import Load
from offramp_edge_server.routes import Group, Route

log = logging.getLogger(__name__)

INLINE = Seconds(0.002)
"""Shorter work runs on the event loop itself: see `_start`."""

Done = Callable[[Answer | Exception], None]


@dataclass(slots=True, kw_only=True, eq=False)
class _Request:
    """One request on its way through the runner."""

    route: Route
    payload: bytes
    arrived: Seconds
    done: Done
    alive_K: NDArray[np.bool_] | None = None
    """The classes of which it is to be answered one; None: all."""
    ahead: "Future[None] | None" = None
    """The decoding, when it was begun while the model was busy."""
    feature: Feature | None = None
    error: Exception | None = None
    decode: Seconds = Seconds(0.0)
    answer: Answer | None = None
    left: bool = False
    """It had its answer before its batch ended."""


Leave = Callable[[list[_Request]], None]
"""Takes those of a batch who have their answer before the others."""


class _Worked(NamedTuple):
    """What became of a batch."""

    outcomes: list[Answer | Exception]
    size: int
    """Requests that reached the model."""
    duration: Seconds
    whole: bool = True
    """Some of them went to the end of the network."""


class Runner:
    """Owns the queue and the two threads; one per server."""

    def __init__(self, clock: Clock, *, queue: int, queue_bytes: Bytes, max_batch: int) -> None:
        self.load = Load(clock.now())
        self._clock = clock
        self._costs = Costs()
        self._batcher = Batcher[_Request](
            capacity=queue, max_bytes=queue_bytes, max_batch=max_batch, estimate=self._costs.estimate
        )
        self._max_ahead = max_batch
        self._ahead = 0  # queued requests whose decoding has begun: features are larger than payloads, so few
        self._worker = ThreadPoolExecutor(1, "offramp-model")
        self._decoder = ThreadPoolExecutor(1, "offramp-decode")
        self._owners: set[object] = set()
        self._busy = False
        self._scheduled = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Requests that wait for the model."""
        return len(self._batcher)

    def join(self, owner: object) -> None:
        """Expect requests of this owner, until it leaves."""
        self._owners.add(owner)

    def leave(self, owner: object) -> None:
        """Forget what waits for an owner who has gone."""
        self._owners.discard(owner)
        for job in self._batcher.remove(owner):
            self._leave_queue(job.work)
        self._schedule()

    def at_once(
        self, route: Route, payload: bytes, budget: Seconds | None, arrived: Seconds, alive: bytes = b""
    ) -> Answer | Exception | None:
        """The outcome of a request for which nothing is to be waited, or None: it has to be submitted.

        That is so when its owner is the only one and the work is short. The queue and its two turns of the event loop
        cost about 60 µs there; with several owners it gives batches instead, and twice the throughput (ResNet-20,
        8 streams: 3,400 answers a second, against 1,700 one by one).
        """
        if len(self._owners) > 1 or self._busy or self._batcher or self._closing:
            return None
        if not self._is_short(route.group, 1) or (budget is not None and self._costs.estimate(route.group, 1) > budget):
            return None
        batch = [_Request(route=route, payload=payload, arrived=arrived, done=_nobody)]
        try:
            batch[0].alive_K = alive_from_proto(alive, route.classes)
        except PayloadError as error:
            return error
        self.load.arrived()
        self.load.began(self._clock.now())
        return self._learn(batch, self._work(batch, 1))[0]

    def submit(
        self,
        route: Route,
        payload: bytes,
        budget: Seconds | None,
        arrived: Seconds,
        done: Done,
        owner: object,
        alive: bytes = b"",
    ) -> None:
        """Queue a request; `done` is called on the event loop, once, unless its owner leaves before.

        Raises:
            PayloadError: No valid payload is that long, or no bitmap of its classes is `alive`.
            OverloadedError: The queue is full.
            LinkError: The server is about to stop.
        """
        if self._closing:
            raise LinkError("the edge is stopping; ask another one, or come back")
        if len(payload) > route.max_payload:
            raise PayloadError(
                f"{len(payload)} bytes are no payload of {route.codec}; the longest has {route.max_payload}"
            )
        alive_K = alive_from_proto(alive, route.classes)
        self.load.arrived()
        request = _Request(route=route, payload=payload, arrived=arrived, done=done, alive_K=alive_K)
        deadline = Seconds(math.inf if budget is None else arrived + budget)
        self._batcher.add(
            Job(group=route.group, owner=owner, deadline=deadline, nbytes=Bytes(len(payload)), work=request)
        )
        self._idle.clear()
        if self._busy and self._ahead < self._max_ahead:
            self._ahead += 1
            request.ahead = self._decoder.submit(self._decode, request)
        self._schedule()

    async def drain(self) -> None:
        """Refuse new requests, and return once those taken are answered."""
        self._closing = True
        await self._idle.wait()

    def close(self) -> None:
        """Let the threads end; a model call that hangs is not waited for."""
        for executor in (self._worker, self._decoder):
            executor.shutdown(wait=False, cancel_futures=True)

    def _schedule(self) -> None:
        # Not at once: what the event loop has received already joins the batch.
        if not self._scheduled and not self._busy:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._busy:
            return
        now = self._clock.now()
        taken = self._batcher.take(now)
        for job in (*taken.late, *taken.batch):
            self._leave_queue(job.work)
        for job in taken.late:
            self._refuse_late(job, now)
        if taken.batch:
            self._start([job.work for job in taken.batch])
        elif not self._batcher:
            self._idle.set()

    def _leave_queue(self, request: _Request) -> None:
        if request.ahead is not None:
            self._ahead -= 1

    def _start(self, batch: list[_Request]) -> None:
        # A hop to the worker and back costs about 100 µs: a tail of 250 µs should not pay it, one of 10 ms does not
        # feel it and would keep the loop from receiving and answering.
        group, waiting = batch[0].route.group, len(batch) + len(self._batcher)
        self._busy = True
        self.load.began(self._clock.now())
        if self._is_short(group, len(batch)):
            self._finish(batch, self._work(batch, waiting))
        else:
            loop = asyncio.get_running_loop()

            def leave(requests: list[_Request]) -> None:
                loop.call_soon_threadsafe(self._leave, requests)

            task = loop.run_in_executor(self._worker, self._work, batch, waiting, leave)
            task.add_done_callback(lambda done: self._finish(batch, done.result()))

    def _leave(self, requests: list[_Request]) -> None:
        """Some of a batch that is still being run."""
        for request in requests:
            assert request.answer is not None
            self.load.answered(request.route, request.answer.timings)
            request.done(request.answer)

    def _is_short(self, group: Group, size: int) -> bool:
        return self._costs.knows(group) and self._costs.estimate(group, size) < INLINE

    def _finish(self, batch: list[_Request], worked: _Worked) -> None:
        self._busy = False
        for request, outcome in zip(batch, self._learn(batch, worked), strict=True):
            if not request.left:
                request.done(outcome)
        self._schedule()

    def _learn(self, batch: list[_Request], worked: _Worked) -> list[Answer | Exception]:
        self.load.ended(self._clock.now())
        if worked.size:
            route = batch[0].route
            # Of a batch that left as one, nobody learns what one takes that does not.
            if worked.whole or not self._costs.knows(route.group):
                self._costs.observe(route.group, worked.size, worked.duration)
            route.tally.computed(worked.size)
            for request, outcome in zip(batch, worked.outcomes, strict=True):
                if isinstance(outcome, Answer) and not request.left:
                    self.load.answered(request.route, outcome.timings)
        return worked.outcomes

    def _work(self, batch: list[_Request], waiting: int, leave: Leave | None = None) -> _Worked:
        """Decode and run, on the event loop or in the worker; an error is the outcome of those whom it concerns.

        `leave` takes those who are answered before the others; without it, all are answered together.
        """
        try:
            return self._compute(batch, waiting, leave)
        except Exception as error:  # whatever a model does, the server goes on
            log.exception("the model failed on a batch of %d at split %d", len(batch), batch[0].route.group.split)
            return _Worked([request.error or error for request in batch], 0, Seconds(0.0))

    def _compute(self, batch: list[_Request], waiting: int, leave: Leave | None) -> _Worked:
        started = self._clock.now()
        for request in batch:
            # Cancelled in time, or never begun: then it is decoded here.
            if request.ahead is None or request.ahead.cancel():
                self._decode(request)
            else:
                request.ahead.result()
        ready = [request for request in batch if request.error is None]
        if not ready:
            return _Worked([request.error for request in batch if request.error is not None], 0, Seconds(0.0))
        begun, route = self._clock.now(), ready[0].route
        features = [request.feature for request in ready if request.feature is not None]
        whole = True
        if route.lets_leave(waiting):
            whole = self._run_and_leave(ready, features, begun, leave)
        else:
            logits_NK = route.tail.run(route.group.split, features, route.group.via)
            compute = Seconds(self._clock.now() - begun)
            for request, logits_K in zip(ready, logits_NK, strict=True):
                request.answer = _answer(request, logits_K, begun, compute, len(ready))
        outcomes = [request.error or request.answer for request in batch]
        return _Worked(outcomes, len(ready), Seconds(self._clock.now() - started), whole)  # type: ignore[arg-type]

    def _run_and_leave(
        self, ready: list[_Request], features: list[Feature], begun: Seconds, leave: Leave | None
    ) -> bool:
        """Whether some of them went to the end of the network."""
        route = ready[0].route
        end, whole, last = route.tail.manifest.end, False, list[tuple[_Request, Heard, int]]()
        for heard in route.tail.leave(route.group.split, features, route.exits, route.group.via):
            those = [(ready[row], heard, place) for place, row in enumerate(heard.row_R.tolist())]
            whole = whole or heard.cut == end
            if leave is None or heard.cut == end:
                last += those
                continue
            _answer_from(those, begun, Seconds(self._clock.now() - begun), len(ready))
            for request, _, _ in those:
                request.left = True
            leave([request for request, _, _ in those])
        _answer_from(last, begun, Seconds(self._clock.now() - begun), len(ready))
        return whole

    def _decode(self, request: _Request) -> None:
        started = self._clock.now()
        route = request.route
        try:
            request.feature = route.tail.decode(route.group.split, route.codec, request.payload)
        except Exception as error:  # a codec that stumbles over a payload concerns nobody else
            request.error = error
        request.decode = Seconds(self._clock.now() - started)

    def _refuse_late(self, job: Job[_Request], now: Seconds) -> None:
        self.load.waited(Seconds(now - job.work.arrived))
        waited = format_seconds(now - job.work.arrived)
        if now > job.deadline:
            job.work.done(DeadlineError(f"the budget ran out after {waited} in the edge's queue; nothing was computed"))
            return
        needed = format_seconds(self._costs.estimate(job.group, 1))
        self._costs.doubt(job.group)
        left = format_seconds(job.deadline - now)
        job.work.done(
            DeadlineError(f"{left} of the budget are left, but the edge needs {needed}; nothing was computed")
        )


def _nobody(_: Answer | Exception) -> None: ...


def _answer_from(those: Sequence[tuple[_Request, Heard, int]], begun: Seconds, compute: Seconds, batch: int) -> None:
    for request, heard, place in those:
        cut = None if heard.cut == request.route.tail.manifest.end else heard.cut
        label = None if heard.label_R is None else int(heard.label_R[place])
        request.answer = _answer(request, heard.logits_RK[place], begun, compute, batch, cut, label)


def _answer(
    request: _Request,
    logits_K: NDArray[np.float32],
    begun: Seconds,
    compute: Seconds,
    batch: int,
    cut: int | None = None,
    label: int | None = None,
) -> Answer:
    # Waiting is all that was neither decoding nor computing, whether decoding came ahead of time or not.
    queue = Seconds(max(begun - request.arrived - request.decode, 0.0))
    timings = EdgeTimings(queue=queue, decode=request.decode, compute=compute, batch=batch)
    answer = answer_of(logits_K, timings, alive_K=request.alive_K, cut=cut, label=label)
    if not request.route.top_k:
        return answer
    classes_k = np.argsort(-answer.logits, kind="stable")[: request.route.top_k]
    return replace(answer, logits=answer.logits[classes_k], classes=classes_k)
