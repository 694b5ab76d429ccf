"""The vectorised path: one plan over one link, a million samples a second.

The three queues (device, uplink, edge) serve in order of arrival, so each is one running maximum (Lindley, 1952):

    finish_i = max(ready_i, finish_{i-1}) + service_i

Exact as long as nothing is refused, late or lost and the edge has no reason to batch; `Static.exact` says whether
that was so. Where it was not, `replay` is the answer.

# N samples
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.exits.catalog import open_policy
from offramp.exits.policy import BranchOutputs
from offramp.exits.walk import STAYED, walk
from offramp.measure.profile import NOTHING, Profile
from offramp.plan import Plan
from offramp.tape.reader import Tape, Voice
from offramp.units import Seconds
from offramp.wire.framing import FRAME_HEADER, FRAME_SIZE, GRPC_PREFIX, REQUEST_FIELDS, wire_bytes
from offramp_device.pipeline import MARGIN
from offramp_evaluation.replay.uplink import answer_bytes
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Static:
    """What became of N samples in the order of their arrival."""

    label_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    sent_N: NDArray[np.bool_]
    latency_N: Floats
    wire_N: NDArray[np.int64]
    exact: bool
    """Nothing would have been refused or late, and no queue at the edge would have formed a batch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """What N samples do on the device, whatever the link is like."""

    plan: Plan
    arrival_N: Floats
    done_N: Floats
    """When the device has done with each: answered, or encoded."""
    label_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    sent_N: NDArray[np.bool_]
    wire_N: NDArray[np.int64]


class StaticReplay:
    """A tape, two hosts and a deadline, asked about many plans, links and arrivals."""

    def __init__(self, tape: Tape, manifest: Manifest, device: Profile, edge: Profile, *, deadline: Seconds) -> None:
        self._tape = tape
        self._manifest = manifest
        self._device = device
        self._edge = edge
        self._deadline = deadline

    def run(self, plan: Plan, rows: NDArray[np.intp], arrivals: Floats, up: Trace, down: Trace) -> Static:
        """Follow samples (rows of the tape) that arrive at `arrivals` [N], never falling."""
        return self.finish(self.walk(plan, rows, arrivals), Integral(up), Integral(down))

    def walk(self, plan: Plan, rows: NDArray[np.intp], arrivals: Floats) -> Walk:
        """What happens on the device, over whatever link."""
        left_at_N, service_N, label_N = self._on_device(plan, rows)
        sent_N = (left_at_N == STAYED) & (plan.codec != "none")
        wire_N = np.zeros(len(rows), dtype=np.int64)
        if sent_N.any():
            sizes = self._tape.payload_bytes(plan.split, plan.codec)[rows[sent_N]].astype(np.int64)
            wire_N[sent_N] = _wire_bytes(sizes + REQUEST_FIELDS)
        return Walk(
            plan=plan,
            arrival_N=arrivals,
            done_N=lindley(arrivals, service_N),
            label_N=label_N,
            exit_N=np.where(left_at_N >= 0, left_at_N, self._manifest.end),
            sent_N=sent_N,
            wire_N=wire_N,
        )

    def finish(self, walk: Walk, up: Integral, down: Integral) -> Static:
        """The same samples over one link."""
        done_N, sent_N, arrival_N = walk.done_N, walk.sent_N, walk.arrival_N
        exact = bool(np.all(done_N - arrival_N <= self._deadline))
        if sent_N.any():
            done_N = done_N.copy()
            done_N[sent_N], alone = self._away(walk.plan, done_N[sent_N], walk.wire_N[sent_N], up, down)
            latest_N = arrival_N[sent_N] + self._deadline - MARGIN
            exact = exact and alone and bool(np.all(done_N[sent_N] <= latest_N))
        return Static(
            label_N=walk.label_N,
            exit_N=walk.exit_N,
            sent_N=sent_N,
            latency_N=done_N - arrival_N,
            wire_N=walk.wire_N,
            exact=exact,
        )

    def _on_device(self, plan: Plan, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """[N] the branch where each leaves (-1: none), seconds on the device, and the label."""

        def hear(cut: int, at: NDArray[np.intp]) -> BranchOutputs:
            voice = self._tape.branch(cut)
            assert voice.scores_NS is not None  # only tails carry none
            return BranchOutputs(cut, voice.logits_Nk[rows[at]], voice.scores_NS[rows[at]])

        asked = plan.exit.asked
        walked = walk(open_policy(plan.exit), asked, hear, self._answers(plan).label_N[rows])
        left_at_N, service_N, here = walked.left_at_N, np.zeros(len(rows)), 0
        for cut in asked:
            service_N[(left_at_N == STAYED) | (left_at_N >= cut)] += self._device.segment(
                here, cut, branch=True
            ).expected
            here = cut
        staying = left_at_N == STAYED
        service_N[staying] += self._device.segment(here, plan.split).expected
        service_N[staying] += self._device.encode.get(f"{plan.split}:{plan.codec}", NOTHING).expected
        return left_at_N, service_N, walked.label_N

    def _answers(self, plan: Plan) -> Voice:
        """What answers those who leave at no branch."""
        nothing_sent = plan.split == self._manifest.end
        return self._tape.final() if nothing_sent else self._tape.answer(plan.split, plan.codec)

    def _away(
        self, plan: Plan, ready_N: Floats, wire_N: NDArray[np.int64], up: Integral, down: Integral
    ) -> tuple[Floats, bool]:
        through_N = up.queue(ready_N, wire_N)
        arrived_N = through_N + up.trace.delay_at(through_N)
        decode = self._edge.decode.get(f"{plan.split}:{plan.codec}", NOTHING).expected
        service = decode + self._edge.segment(plan.split, self._edge.end).expected
        answered_N = lindley(arrived_N, np.full(len(arrived_N), service))
        alone = bool(np.all(answered_N - arrived_N <= 2 * service))
        back_N = down.queue(answered_N, np.full(len(answered_N), float(answer_bytes(self._manifest))))
        return back_N + down.trace.delay_at(back_N), alone


def lindley(ready_N: Floats, service_N: Floats) -> Floats:
    """[N] when each is done that becomes ready for one server in this order."""
    work_N = np.cumsum(service_N)
    done_N: Floats = work_N + np.maximum.accumulate(ready_N - (work_N - service_N))
    return done_N


def _wire_bytes(serialized_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """`offramp.wire.framing.wire_bytes`, for many messages."""
    overhead = wire_bytes(0) - FRAME_HEADER - GRPC_PREFIX
    framed_N = serialized_N + GRPC_PREFIX
    total_N: NDArray[np.int64] = framed_N + FRAME_HEADER * -(-framed_N // FRAME_SIZE) + overhead
    return total_N
