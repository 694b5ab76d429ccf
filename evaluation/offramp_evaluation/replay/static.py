"""The vectorised path: one plan over one link, a million samples a second.

The three queues (device, uplink, edge) serve in order of arrival, so each is one running maximum (Lindley, 1952):

    finish_i = max(ready_i, finish_{i-1}) + service_i

Exact as long as nothing is refused, late or lost, the edge has no reason to batch, and a stream's scenes are named
before its next sample begins; `Static.exact` says whether that was so. Where it was not, `replay` is the answer.

# N samples, S of them sent
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.exits.catalog import open_policy
from offramp.exits.walk import STAYED
from offramp.measure.profile import NOTHING, Profile
from offramp.plan import NO_EXIT, Plan
from offramp.tail import OUT
from offramp.tape.reader import Tape, Voice
from offramp.units import Seconds
from offramp.wire.convert import alive_to_proto
from offramp.wire.framing import FRAME_HEADER, FRAME_SIZE, GRPC_PREFIX, REQUEST_FIELDS, wire_bytes
from offramp_device.pipeline import MARGIN
from offramp_evaluation.replay.uplink import answer_bytes
from offramp_evaluation.replay.voices import alive_on_tape, walk_tape
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import Trace

Floats = NDArray[np.float64]
INSTANT = 1e-9
"""Seconds: differences of rounding are none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Static:
    """What became of N samples in the order of their arrival."""

    label_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    sent_N: NDArray[np.bool_]
    latency_N: Floats
    wire_N: NDArray[np.int64]
    exact: bool
    """Nothing would have been refused or late, no queue at the edge would have formed a batch, and no sample would have
    been decided before what a temporal policy has to know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """What N samples do on the device, whatever the link is like."""

    plan: Plan
    arrival_N: Floats
    began_N: Floats
    """When the first stage of each begins."""
    done_N: Floats
    """When the device has done with each: answered, or encoded."""
    label_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    sent_N: NDArray[np.bool_]
    wire_N: NDArray[np.int64]
    edge_N: Floats
    """Seconds that the edge works for each."""
    temporal: bool
    """Each has to have its answer before the next begins."""


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
        done_N, exit_N = lindley(arrivals, service_N), np.where(left_at_N >= 0, left_at_N, self._manifest.end)
        sent_N = (left_at_N == STAYED) & (plan.codec != "none")
        wire_N, edge_N = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
        if sent_N.any():
            rows_S = rows[sent_N]
            sizes = self._tape.payload_bytes(plan.split, plan.codec)[rows_S].astype(np.int64)
            alive_SK = alive_on_tape(self._tape, plan.exit, rows_S) if plan.mask else None
            if alive_SK is not None:
                sizes += [len(alive_to_proto(alive_K)) for alive_K in alive_SK]
            wire_N[sent_N] = _wire_bytes(sizes + REQUEST_FIELDS)
            exit_N[sent_N], edge_N[sent_N], label_N[sent_N] = self._at_edge(plan, rows_S, alive_SK)
        return Walk(
            plan=plan,
            arrival_N=arrivals,
            began_N=done_N - service_N,
            done_N=done_N,
            label_N=label_N,
            exit_N=exit_N,
            sent_N=sent_N,
            wire_N=wire_N,
            edge_N=edge_N,
            temporal=open_policy(plan.exit).temporal,
        )

    def finish(self, walk: Walk, up: Integral, down: Integral) -> Static:
        """The same samples over one link."""
        done_N, sent_N, arrival_N = walk.done_N, walk.sent_N, walk.arrival_N
        exact = bool(np.all(done_N - arrival_N <= self._deadline))
        if sent_N.any():
            done_N = done_N.copy()
            done_N[sent_N], alone = self._away(done_N[sent_N], walk.wire_N[sent_N], walk.edge_N[sent_N], up, down)
            latest_N = arrival_N[sent_N] + self._deadline - MARGIN
            exact = exact and alone and bool(np.all(done_N[sent_N] <= latest_N))
        if walk.temporal:
            exact = exact and bool(np.all(done_N[:-1] <= walk.began_N[1:] + INSTANT))
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
        asked = plan.exit.asked
        walked = walk_tape(self._tape, plan.exit, rows, self._answers(plan).label_N[rows])
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

    def _at_edge(
        self, plan: Plan, rows_S: NDArray[np.intp], alive_SK: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """[S] where each is answered, seconds of work for it, and the label."""
        logits_SK = self._answers(plan).logits_Nk[rows_S]
        decode = self._edge.decode.get(f"{plan.split}:{plan.codec}", NOTHING).expected
        service_S, exit_S, here = np.full(len(rows_S), decode), np.full(len(rows_S), self._manifest.end), plan.split
        label_S = self._answers(plan).label_N[rows_S].copy() if alive_SK is None else _masked(logits_SK, alive_SK)
        # Alone at the edge, no request ever waits with another one.
        exits = plan.tail if plan.queue <= 1 else NO_EXIT
        walked = walk_tape(self._tape, exits, rows_S, label_S)
        going_S = np.ones(len(rows_S), np.bool_)
        for cut in exits.asked:
            service_S[going_S] += self._edge.segment(here, cut, branch=True).expected
            leaves_S, here = walked.left_at_N == cut, cut
            exit_S[leaves_S], going_S = cut, going_S & ~leaves_S
            label_S[leaves_S] = walked.label_N[leaves_S]
            if alive_SK is not None:
                excluded_S = leaves_S & ~alive_SK[np.arange(len(rows_S)), walked.label_N]
                label_S[excluded_S] = _masked(
                    self._tape.branch(cut).logits_Nk[rows_S[excluded_S]], alive_SK[excluded_S]
                )
        service_S[going_S] += self._edge.segment(here, self._edge.end).expected
        return exit_S, service_S, label_S

    def _away(
        self, ready_S: Floats, wire_S: NDArray[np.int64], service_S: Floats, up: Integral, down: Integral
    ) -> tuple[Floats, bool]:
        through_S = up.queue(ready_S, wire_S)
        arrived_S = through_S + up.trace.delay_at(through_S)
        answered_S = lindley(arrived_S, service_S)
        waited_S = answered_S - arrived_S - service_S
        # Nobody waits behind more than the one who is being answered.
        alone = bool(np.all(waited_S[1:] <= service_S[:-1] + INSTANT))
        back_S = down.queue(answered_S, np.full(len(answered_S), float(answer_bytes(self._manifest))))
        return back_S + down.trace.delay_at(back_S), alone


def _masked(logits_SK: NDArray[np.float32], alive_SK: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[S] the largest logit of a class that is alive."""
    return np.asarray(np.where(alive_SK, logits_SK, OUT).argmax(axis=1), np.int64)


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
