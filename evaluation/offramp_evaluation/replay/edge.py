"""The simulated edge: the deployed batcher and cost estimate before a model that takes what its profile says.

A batch of N takes the decoding of each and N times the tail: on a CPU a batch gains at most a fifth (stated model).
Where its plan asks branches past the split, those who are sure there are answered then, and N is smaller from there on.
What such a branch says is taken as recorded, on the feature that no codec has changed.

# N requests of a batch, K classes
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.errors import DeadlineError, OfframpError
from offramp.exits.charge import Charge
from offramp.exits.policy import UNKNOWN
from offramp.exits.walk import STAYED
from offramp.measure.profile import Profile, cost_of_codec
from offramp.plan import ExitRule, Plan
from offramp.records import Answer, EdgeTimings
from offramp.tail import answer_of
from offramp.tape.reader import Tape
from offramp.units import Bytes, Seconds
from offramp.wire.convert import alive_from_proto
from offramp_edge_server.batcher import Batcher, Job
from offramp_edge_server.costs import Costs
from offramp_edge_server.settings import EdgeSettings
from offramp_evaluation.replay.hub import Hub
from offramp_evaluation.replay.voices import walk_tape

Done = Callable[[Answer | OfframpError], None]


class _Group(NamedTuple):
    """Requests that may share a model call."""

    split: int
    exits: ExitRule
    queue: int
    via: str


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    row: int
    codec: str
    arrived: Seconds
    alive_K: NDArray[np.bool_] | None
    done: Done


class _Course(NamedTuple):
    """What becomes of a batch, request by request."""

    cuts: list[int]
    """The branch where each leaves; STAYED: it goes to the end."""
    labels: list[int]
    """Of those who leave."""
    after: list[float]
    """Seconds from the model's start to each answer."""
    computed: float
    """Seconds until the model is idle again."""


class SimulatedEdge:
    """One edge server; the devices of a scenario share it."""

    def __init__(self, hub: Hub, tape: Tape, manifest: Manifest, profile: Profile, settings: EdgeSettings) -> None:
        self._hub = hub
        self._tape = tape
        self._manifest = manifest
        self._charge = Charge.of(manifest)
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
        self.macs = 0.0
        """Multiply-accumulates of the model, branches that were asked in vain included."""

    def submit(self, plan: Plan, row: int, nbytes: int, alive: bytes, budget: Seconds, done: Done) -> None:
        """A request of `nbytes` has arrived; `done` is called, from an event, when it is answered or refused."""
        now = self._hub.now()
        deadline = Seconds(now + budget) if math.isfinite(budget) else Seconds(math.inf)
        group = _Group(plan.split, plan.tail, plan.queue, plan.via)
        try:
            alive_K = alive_from_proto(alive, self._tape.header.classes)
            request = _Request(row, plan.codec, now, alive_K, done)
            self._batcher.add(Job(group=group, owner=self, deadline=deadline, nbytes=Bytes(nbytes), work=request))
        except OfframpError as error:
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
        group, batch = taken.batch[0].group, [job.work for job in taken.batch]
        assert isinstance(group, _Group)  # what `submit` groups by
        decode = [cost_of_codec(self._profile.decode, group.split, request.codec).expected for request in batch]
        course = self._course(group, batch, len(batch) + len(self._batcher))
        duration = Seconds(sum(decode) + course.computed)
        self._busy = True
        self.busy_seconds = Seconds(self.busy_seconds + duration)
        staying = [place for place, cut in enumerate(course.cuts) if cut == STAYED]
        for place, cut in enumerate(course.cuts):
            if cut != STAYED:
                answer = partial(self._answer, group, batch, decode, course, now, place)
                self._hub.at(now + sum(decode) + course.after[place], answer)

        def finish() -> None:
            self._busy = False
            if staying or not self._costs.knows(group):
                self._costs.observe(group, len(batch), duration)
            for place in staying:
                self._answer(group, batch, decode, course, now, place)
            self._pump()

        self._hub.at(now + duration, finish)

    def _course(self, group: _Group, batch: list[_Request], waiting: int) -> _Course:
        size, end, charge = len(batch), self._profile.end, self._charge
        # Where a bottleneck leads past the split's own stages: what it takes more than they, its decoder above all.
        rest = charge.whole - charge.before[group.split]
        more = self._manifest.bottleneck(group.via).tail_macs - rest if group.via else 0.0
        if not group.exits.thresholds or waiting < group.queue:
            computed = self._profile.segment(group.split, end, via=group.via).expected * size
            self.macs += size * (rest + more)
            return _Course([STAYED] * size, [UNKNOWN] * size, [computed] * size, computed)
        row_N = np.array([request.row for request in batch])
        walked = walk_tape(self._tape, group.exits, row_N, np.full(size, UNKNOWN))
        after_N, going_N, seconds = np.zeros(size), np.ones(size, np.bool_), 0.0
        here, via = group.split, group.via
        for cut in group.exits.asked:
            seconds += self._profile.segment(here, cut, branch=True, via=via).expected * int(going_N.sum())
            after_N[going_N] = seconds
            going_N, here, via = going_N & (walked.left_at_N != cut), cut, ""
        seconds += self._profile.segment(here, end, via=via).expected * int(going_N.sum())
        after_N[going_N] = seconds
        spent = float(charge.of_each(walked, group.exits.asked).sum())
        self.macs += spent + size * (more - charge.before[group.split])
        return _Course(walked.left_at_N.tolist(), walked.label_N.tolist(), after_N.tolist(), seconds)

    def _answer(
        self,
        group: _Group,
        batch: list[_Request],
        decode: list[float],
        course: _Course,
        started: Seconds,
        place: int,
    ) -> None:
        request, own, cut = batch[place], decode[place], course.cuts[place]
        timings = EdgeTimings(
            queue=Seconds(max(started - request.arrived + sum(decode) - own, 0.0)),  # rounding
            decode=Seconds(own),
            compute=Seconds(course.after[place]),
            batch=len(batch),
        )
        if cut == STAYED:
            logits_K = self._logits[group.split, request.codec][request.row]
            request.done(answer_of(logits_K, timings, alive_K=request.alive_K))
            return
        logits_K = self._tape.branch(cut).logits_Nk[request.row]
        request.done(answer_of(logits_K, timings, alive_K=request.alive_K, cut=cut, label=course.labels[place]))
