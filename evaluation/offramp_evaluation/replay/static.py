"""The vectorised path: one plan over one link, a million samples a second.

The three queues (device, uplink, edge) serve in order of arrival, so each is one running maximum (Lindley, 1952):

    finish_i = max(ready_i, finish_{i-1}) + service_i

Exact as long as nothing is refused, late or lost, the edge has no reason to batch, and a stream's scenes are named
before its next sample begins; `Static.exact` says whether that was so. Where it was not, `replay` is the answer.

# N samples, S of them sent, R of them at one place, K classes
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.exits.catalog import open_policy
from offramp.exits.walk import STAYED
from offramp.measure.profile import Profile, cost_of_codec
from offramp.plan import NO_EXIT, Plan
from offramp.tail import OUT
from offramp.tape.reader import Tape
from offramp.units import Seconds
from offramp.wire.convert import alive_to_proto
from offramp.wire.framing import FRAME_HEADER, FRAME_SIZE, GRPC_PREFIX, REQUEST_FIELDS, wire_bytes
from offramp_device.pipeline import MARGIN
from offramp_evaluation.replay.uplink import answer_bytes
from offramp_evaluation.replay.voices import alive_on_tape, refuse_another_head, walk_tape
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


class _AtEdge(NamedTuple):
    exit_N: NDArray[np.int64]
    seconds_N: Floats
    """Of work."""
    label_N: NDArray[np.int64]


class _Way(NamedTuple):
    """How some of the samples are sent."""

    plan: Plan
    who_N: NDArray[np.bool_]


class StaticReplay:
    """A tape, two hosts and a deadline, asked about many plans, links and arrivals."""

    def __init__(self, tape: Tape, manifest: Manifest, device: Profile, edge: Profile, *, deadline: Seconds) -> None:
        self._tape = tape
        self._manifest = manifest
        self._device = device.headed(tape.header.head)
        self._edge = edge
        self._deadline = deadline

    def run(self, plan: Plan, rows: NDArray[np.intp], arrivals: Floats, up: Trace, down: Trace) -> Static:
        """Follow samples (rows of the tape) that arrive at `arrivals` [N], never falling."""
        return self.finish(self.walk(plan, rows, arrivals), Integral(up), Integral(down))

    def walk(self, plan: Plan, rows: NDArray[np.intp], arrivals: Floats) -> Walk:
        """What happens on the device, over whatever link."""
        refuse_another_head(plan, self._tape)
        sends = plan.codec != "none"
        alive_NK = alive_on_tape(self._tape, plan.exit, rows) if plan.mask else None
        ways = self._ways(plan, rows)
        # Of everybody: whoever is recognised later is answered what the edge said of the scene's first.
        away = _merged([(self._at_edge(way, rows, alive_NK), who_N) for way, who_N in ways]) if sends else None
        final_N = self._tape.final().label_N[rows] if away is None else away.label_N
        left_at_N, service_N, label_N = self._on_device(plan, ways, rows, final_N)
        done_N, exit_N = lindley(arrivals, service_N), np.where(left_at_N >= 0, left_at_N, self._manifest.end)
        sent_N = (left_at_N == STAYED) & sends
        wire_N, edge_N = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
        if away is not None and sent_N.any():
            sizes_N = np.zeros(len(rows), dtype=np.int64)
            for way, who_N in ways:
                sizes_N[who_N] = self._tape.payload_bytes(way.split, way.codec)[rows[who_N]]
            sizes = sizes_N[sent_N]
            if alive_NK is not None:
                sizes += [len(alive_to_proto(alive_K)) for alive_K in alive_NK[sent_N]]
            wire_N[sent_N] = _wire_bytes(sizes + REQUEST_FIELDS)
            exit_N[sent_N], edge_N[sent_N] = away.exit_N[sent_N], away.seconds_N[sent_N]
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

    def _ways(self, plan: Plan, rows: NDArray[np.intp]) -> list["_Way"]:
        """How those are sent who stay: [N] who by the plan's codec, and whom the last branch is not sure of."""
        if plan.unsure is None:
            return [_Way(plan, np.ones(len(rows), dtype=np.bool_))]
        scores_NS = self._tape.branch(plan.exit.asked[-1]).scores_NS
        assert scores_NS is not None  # only tails carry none
        sure_N = scores_NS[rows, 0] >= plan.unsure.below
        return [_Way(plan, sure_N), _Way(plan.when_unsure, ~sure_N)]

    def _on_device(
        self, plan: Plan, ways: "list[_Way]", rows: NDArray[np.intp], final_N: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """[N] the branch where each leaves (-1: none), seconds on the device, and the label."""
        asked = plan.exit.asked
        walked = walk_tape(self._tape, plan.exit, rows, final_N)
        left_at_N, service_N, here = walked.left_at_N, np.zeros(len(rows)), 0
        for cut in asked:
            service_N[(left_at_N == STAYED) | (left_at_N >= cut)] += self._device.segment(
                here, cut, branch=True
            ).expected
            here = cut
        for way, who_N in ways:
            staying = (left_at_N == STAYED) & who_N
            service_N[staying] += self._device.segment(here, way.split, via=way.via).expected
            service_N[staying] += cost_of_codec(self._device.encode, way.split, way.codec).expected
        return left_at_N, service_N, walked.label_N

    def _at_edge(self, plan: Plan, rows: NDArray[np.intp], alive_NK: NDArray[np.bool_] | None) -> "_AtEdge":
        """What the edge would say of each, alone with it: no request ever waits with another one."""
        answers = self._tape.answer(plan.split, plan.codec)
        decode = cost_of_codec(self._edge.decode, plan.split, plan.codec).expected
        exits = plan.tail if plan.queue <= 1 else NO_EXIT
        walked = walk_tape(self._tape, exits, rows, answers.label_N[rows])
        label_N, exit_N = walked.label_N, np.where(walked.left_at_N >= 0, walked.left_at_N, self._manifest.end)
        seconds_N, here, via = np.full(len(rows), decode), plan.split, plan.via
        for cut in exits.asked:
            seconds_N[exit_N >= cut] += self._edge.segment(here, cut, branch=True, via=via).expected
            here, via = cut, ""
        whole_N = exit_N == self._manifest.end
        seconds_N[whole_N] += self._edge.segment(here, self._edge.end, via=via).expected
        if alive_NK is not None:
            for cut in np.unique(exit_N).tolist():
                voice = answers if cut == self._manifest.end else self._tape.branch(cut)
                excluded_N = (exit_N == cut) & ~alive_NK[np.arange(len(rows)), label_N]
                logits_RK = np.where(alive_NK[excluded_N], voice.logits_Nk[rows[excluded_N]], OUT)
                label_N[excluded_N] = logits_RK.argmax(axis=1)
        return _AtEdge(exit_N, seconds_N, label_N)

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


def _merged(parts: "list[tuple[_AtEdge, NDArray[np.bool_]]]") -> "_AtEdge":
    """Of each sample what its own part says."""
    (merged, _), *others = parts
    for other, who_N in others:
        merged = _AtEdge(*(np.where(who_N, theirs, ours) for ours, theirs in zip(merged, other, strict=True)))
    return merged


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
