"""The simulated edge: the deployed batcher and cost estimate before a model that takes what its profile says.

A batch of N takes the decoding of each and N times the tail: on a CPU a batch gains at most a fifth (stated model).
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from offramp.errors import DeadlineError, OfframpError, OverloadedError
from offramp.measure.profile import NOTHING, Profile
from offramp.records import Answer, EdgeTimings
from offramp.tape.reader import Tape
from offramp.units import Bytes, Seconds
from offramp_edge_server.batcher import Batcher, Job
from offramp_edge_server.costs import Costs
from offramp_edge_server.settings import EdgeSettings
from offramp_evaluation.replay.hub import Hub

Done = Callable[[Answer | OfframpError], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    row: int
    codec: str
    arrived: Seconds
    done: Done


class SimulatedEdge:
    """One edge server; the devices of a scenario share it."""

    def __init__(self, hub: Hub, tape: Tape, profile: Profile, settings: EdgeSettings) -> None:
        self._hub = hub
        self._profile = profile
        self._costs = Costs()
        self._batcher = Batcher[_Request](
            capacity=settings.queue,
            max_bytes=settings.queue_bytes,
            max_batch=settings.max_batch,
            estimate=self._costs.estimate,
        )
        self._busy = False
        self._logits = {(entry.split, entry.codec): tape.voice(entry.voice).logits_Nk for entry in tape.header.codecs}
        self.busy_seconds = Seconds(0.0)
        """Time that the model and the codecs took, over all requests."""

    def submit(self, split: int, codec: str, row: int, nbytes: int, budget: Seconds, done: Done) -> None:
        """A request of `nbytes` has arrived; `done` is called, from an event, when it is answered or refused."""
        now = self._hub.now()
        deadline = Seconds(now + budget) if math.isfinite(budget) else Seconds(math.inf)
        request = _Request(row, codec, now, done)
        try:
            self._batcher.add(Job(group=split, owner=self, deadline=deadline, nbytes=Bytes(nbytes), work=request))
        except OverloadedError as error:
            done(error)
            return
        if not self._busy:
            self._pump()

    def _pump(self) -> None:
        now = self._hub.now()
        taken = self._batcher.take(now)
        for job in taken.late:
            self._costs.doubt(job.group)
            job.work.done(DeadlineError("too little of the budget is left at the edge"))
        if not taken.batch:
            return
        split = taken.batch[0].group
        assert isinstance(split, int)  # what `submit` groups by
        decode = [self._profile.decode.get(f"{split}:{job.work.codec}", NOTHING).expected for job in taken.batch]
        compute = self._profile.segment(split, self._profile.end).expected * len(taken.batch)
        duration = Seconds(sum(decode) + compute)
        self._busy = True
        self.busy_seconds = Seconds(self.busy_seconds + duration)

        def finish() -> None:
            self._finish(split, [job.work for job in taken.batch], decode, now, Seconds(compute), duration)

        self._hub.at(now + duration, finish)

    def _finish(
        self,
        split: Hashable,
        batch: list[_Request],
        decode: list[float],
        started: Seconds,
        compute: Seconds,
        duration: Seconds,
    ) -> None:
        self._busy = False
        self._costs.observe(split, len(batch), duration)
        for request, own in zip(batch, decode, strict=True):
            timings = EdgeTimings(
                queue=Seconds(max(started - request.arrived + duration - compute - own, 0.0)),  # rounding
                decode=Seconds(own),
                compute=compute,
                batch=len(batch),
            )
            logits_K = self._logits[split, request.codec][request.row]  # type: ignore[index]
            request.done(Answer(logits=logits_K, timings=timings))
        self._pump()
