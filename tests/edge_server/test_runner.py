"""What runs at once, what waits, what is decoded meanwhile; with a tail that takes as long as it is told."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.clock import ManualClock
from offramp.errors import DeadlineError, LinkError, OverloadedError, PayloadError
from offramp.plan import ExitRule
from offramp.records import Answer, Feature
from offramp.tail import Heard, Tail
from offramp.units import Bytes, Seconds
from offramp_edge_server.meter import SilentMeter
from offramp_edge_server.routes import Group, Route
from offramp_edge_server.runner import INLINE, Runner
from tests.support.manifests import a_manifest

PATIENCE = 10.0
EXITS = ExitRule(policy="confidence", thresholds=((2, 0.9),))


@dataclass
class PacedTail:
    """Answers a payload with its first byte, after `takes` seconds of a clock that only this moves."""

    clock: ManualClock
    manifest: Manifest = field(default_factory=a_manifest)
    takes: float = 0.0001
    breaks: bool = False
    """Past the branch."""
    batches: list[int] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    decoded: threading.Event = field(default_factory=threading.Event)

    def decode(self, split: int, codec: str, payload: bytes) -> Feature:
        self.decoded.set()
        if payload == b"bad":
            raise PayloadError("bad")
        return (np.array([[payload[0]]], np.float32),)

    def run(self, split: int, features: Sequence[Feature], via: str = "") -> NDArray[np.float32]:
        if threading.current_thread() is not threading.main_thread():
            assert self.gate.wait(PATIENCE)
        self.batches.append(len(features))
        self.threads.append(threading.current_thread().name)
        self.clock.advance(Seconds(self.takes))
        return np.concatenate([feature[0] for feature in features])

    def leave(self, split: int, features: Sequence[Feature], exits: ExitRule, via: str = "") -> Iterator[Heard]:
        """Payloads that begin with an even byte leave at the first branch, half-way; the others wait for the gate."""
        self.batches.append(len(features))
        self.threads.append(threading.current_thread().name)
        logits_NK = np.concatenate([feature[0] for feature in features])
        leaves_N = logits_NK[:, 0] % 2 == 0
        self.clock.advance(Seconds(self.takes / 2))
        if leaves_N.any():
            yield Heard(leaves_N.nonzero()[0], exits.asked[0], logits_NK[leaves_N])
        if leaves_N.all():
            return
        if threading.current_thread() is not threading.main_thread():
            assert self.gate.wait(PATIENCE)
        if self.breaks:
            raise MemoryError("out of memory")
        self.clock.advance(Seconds(self.takes / 2))
        yield Heard((~leaves_N).nonzero()[0], self.manifest.end, logits_NK[~leaves_N])


class Bench:
    """A runner over one tail, and what it said."""

    def __init__(self, **limits: int) -> None:
        self.clock = ManualClock()
        self.tail = PacedTail(self.clock)
        self.tail.gate.set()
        self.runner = Runner(
            self.clock,
            queue=limits.get("queue", 10),
            queue_bytes=Bytes(limits.get("queue_bytes", 1000)),
            max_batch=limits.get("max_batch", 4),
        )
        self.route = Route(
            pace="2-4",
            tail=cast(Tail, self.tail),
            group=Group("digest", 1),
            codec="raw",
            max_payload=Bytes(100),
            top_k=0,
            classes=1,
            tally=SilentMeter().tally("tiny", 1),
        )
        self.outcomes: list[Answer | Exception] = []

    def submit(self, payload: bytes = b"\x01", *, budget: float | None = None, owner: object = None) -> None:
        limit = None if budget is None else Seconds(budget)
        self.runner.submit(self.route, payload, limit, self.clock.now(), self.outcomes.append, owner)

    def at_once(self, *, budget: float | None = None) -> Answer | Exception | None:
        limit = None if budget is None else Seconds(budget)
        return self.runner.at_once(self.route, b"\x07", limit, self.clock.now())

    def lets_leave(self, *, queue: int = 0) -> "Bench":
        """From now on, at branch 2."""
        group = Group("digest", 1, "exits")
        self.route = replace(self.route, group=group, pace="", exits=EXITS, queue=queue)
        return self

    def answers(self) -> list[tuple[float, int | None]]:
        """Logit and exit of each, in the order in which they came."""
        assert all(isinstance(outcome, Answer) for outcome in self.outcomes), self.outcomes
        return [(float(one.logits[0]), one.exit) for one in self.outcomes if isinstance(one, Answer)]

    async def answered(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.outcomes) < count:
                await asyncio.sleep(0.001)

    async def taught(self) -> "Bench":
        """After one request: the runner knows how long this tail takes."""
        self.submit()
        await self.answered(1)
        self.outcomes.clear()
        self.tail.batches.clear()
        self.tail.threads.clear()
        return self


async def test_a_tail_of_unknown_length_runs_in_the_worker_and_a_short_one_on_the_loop() -> None:
    bench = Bench()
    bench.submit()
    await bench.answered(1)
    bench.submit()
    await bench.answered(2)
    assert ["offramp-model" in name for name in bench.tail.threads] == [True, False]


async def test_a_long_tail_stays_in_the_worker() -> None:
    bench = Bench()
    bench.tail.takes = 2 * INLINE
    bench.submit()
    await bench.answered(1)
    bench.submit()
    await bench.answered(2)
    assert all("offramp-model" in name for name in bench.tail.threads)


async def test_a_lonely_owner_of_a_short_tail_is_answered_at_once() -> None:
    bench = await Bench().taught()
    bench.runner.join("only")
    outcome = bench.at_once()
    assert isinstance(outcome, Answer)
    assert outcome.logits.tolist() == [7.0]


async def test_nothing_is_answered_at_once_that_could_share_a_batch_or_has_to_wait() -> None:
    fresh = Bench()
    assert fresh.at_once() is None, "how long it takes is not known yet"
    bench = await Bench().taught()
    bench.runner.join("one")
    bench.runner.join("two")
    assert bench.at_once() is None, "two owners may share a batch"
    bench.runner.leave("two")
    assert bench.at_once(budget=1e-9) is None, "the queue refuses what comes too late, and says so"
    bench.submit()
    assert bench.at_once() is None, "another request came before"
    await bench.answered(1)
    bench.tail.takes = 1.0
    bench.submit()
    await bench.answered(2)
    assert bench.at_once() is None, "the tail has become long"


async def test_payloads_are_decoded_while_the_model_is_busy() -> None:
    bench = Bench()
    bench.tail.gate.clear()
    bench.submit()
    async with asyncio.timeout(PATIENCE):
        while len(bench.runner):
            await asyncio.sleep(0.001)
    bench.tail.decoded.clear()
    bench.submit()
    assert await asyncio.to_thread(bench.tail.decoded.wait, PATIENCE), "decoded though the model is busy"
    assert not bench.outcomes
    bench.tail.gate.set()
    await bench.answered(2)


async def test_an_error_is_the_outcome_of_its_own_request_alone() -> None:
    bench = Bench()
    for payload in (b"\x01", b"bad", b"\x03"):
        bench.submit(payload)
    await bench.answered(3)
    first, second, third = bench.outcomes
    assert isinstance(first, Answer)
    assert isinstance(second, PayloadError)
    assert isinstance(third, Answer)
    assert (first.logits.tolist(), third.logits.tolist()) == ([1.0], [3.0])
    assert first.timings.batch == 2


async def test_a_batch_of_nothing_but_errors_never_reaches_the_model() -> None:
    bench = Bench()
    bench.submit(b"bad")
    await bench.answered(1)
    assert isinstance(bench.outcomes[0], PayloadError)
    assert bench.tail.batches == []


async def test_a_payload_that_cannot_be_valid_is_not_even_queued() -> None:
    bench = Bench()
    with pytest.raises(PayloadError, match="longest has 100"):
        bench.submit(b"x" * 101)
    assert len(bench.runner) == 0


async def test_the_queue_is_bounded_in_bytes_too() -> None:
    bench = Bench(queue_bytes=150)
    bench.submit(b"x" * 100)
    with pytest.raises(OverloadedError, match="150 B"):
        bench.submit(b"x" * 60)
    bench.submit(b"x" * 50)
    await bench.answered(2)


async def test_what_cannot_be_finished_in_time_is_refused_with_what_is_left_and_what_is_needed() -> None:
    bench = Bench()
    bench.tail.takes = 0.5
    bench.submit()
    await bench.answered(1)
    bench.submit(budget=0.1)
    await bench.answered(2)
    assert isinstance(bench.outcomes[1], DeadlineError)
    assert "100 ms of the budget are left, but the edge needs 500 ms" in str(bench.outcomes[1])


async def test_a_slow_phase_does_not_refuse_for_ever() -> None:
    bench = Bench()
    bench.tail.takes = 0.5
    bench.submit()
    await bench.answered(1)
    bench.tail.takes = 0.01
    for count in range(2, 60):
        bench.submit(budget=0.1)
        await bench.answered(count)
        if isinstance(bench.outcomes[-1], Answer):
            return
    pytest.fail("the edge never tried again")


async def test_an_owner_who_left_is_not_answered() -> None:
    bench = Bench()
    bench.submit(owner="gone")
    bench.submit(owner="there")
    bench.runner.leave("gone")
    await bench.answered(1)
    await bench.runner.drain()
    assert len(bench.outcomes) == 1


async def test_draining_answers_what_waits_and_refuses_what_comes() -> None:
    bench = Bench()
    bench.tail.gate.clear()
    bench.submit()
    bench.submit()
    draining = asyncio.create_task(bench.runner.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    with pytest.raises(LinkError, match="stopping"):
        bench.submit()
    bench.tail.gate.set()
    await asyncio.wait_for(draining, PATIENCE)
    assert len(bench.outcomes) == 2


async def test_waiting_is_all_that_was_neither_decoding_nor_computing() -> None:
    bench = await Bench().taught()
    bench.submit()
    bench.clock.advance(Seconds(0.25))
    await bench.answered(1)
    answer = bench.outcomes[0]
    assert isinstance(answer, Answer)
    assert answer.timings.queue == pytest.approx(0.25)
    assert answer.timings.compute == pytest.approx(bench.tail.takes)


async def test_who_is_sure_at_a_branch_is_answered_while_the_others_go_on() -> None:
    bench = Bench().lets_leave()
    bench.tail.gate.clear()
    for payload in (b"\1", b"\2", b"\3", b"\4"):
        bench.submit(payload)
    await bench.answered(2)
    await asyncio.sleep(0.05)
    assert bench.answers() == [(2.0, 2), (4.0, 2)]
    bench.tail.gate.set()
    await bench.answered(4)
    assert bench.answers() == [(2.0, 2), (4.0, 2), (1.0, None), (3.0, None)]


async def test_those_who_leave_have_waited_for_half_of_the_tail_alone() -> None:
    bench = Bench().lets_leave()
    bench.tail.takes = 0.5
    for payload in (b"\1", b"\2"):
        bench.submit(payload)
    await bench.answered(2)
    took = [one.timings.compute for one in bench.outcomes if isinstance(one, Answer)]
    assert took == [pytest.approx(0.25), pytest.approx(0.5)]


async def test_a_short_tail_is_left_on_the_loop_too() -> None:
    bench = await Bench().lets_leave().taught()
    bench.runner.join("only")
    outcome = bench.runner.at_once(bench.route, b"\6", None, bench.clock.now())
    assert isinstance(outcome, Answer)
    assert (outcome.logits.tolist(), outcome.exit) == ([6.0], 2)


async def test_exits_wait_for_so_many_requests() -> None:
    bench = Bench().lets_leave(queue=2)
    bench.submit(b"\2")
    await bench.answered(1)
    for payload in (b"\2", b"\4"):
        bench.submit(payload)
    await bench.answered(3)
    assert bench.answers() == [(2.0, None), (2.0, 2), (4.0, 2)]


async def test_what_a_batch_takes_is_not_learnt_from_one_that_left_as_a_whole() -> None:
    """Else a request for which there is no time would be started, since the last ones were so fast."""
    bench = Bench().lets_leave()
    bench.tail.takes = 0.5
    bench.submit(b"\1")
    await bench.answered(1)
    for _ in range(5):
        bench.submit(b"\2")
        await bench.answered(len(bench.outcomes) + 1)
    bench.submit(b"\1", budget=0.4)
    await bench.answered(7)
    assert isinstance(bench.outcomes[-1], DeadlineError)


async def test_a_model_that_fails_half_way_concerns_only_those_who_had_no_answer_yet() -> None:
    bench = Bench().lets_leave()
    bench.tail.breaks = True
    for payload in (b"\1", b"\2"):
        bench.submit(payload)
    await bench.answered(2)
    await asyncio.sleep(0.05)
    first, second = bench.outcomes
    assert isinstance(first, Answer)
    assert (first.exit, str(second)) == (2, "out of memory")


@pytest.mark.parametrize("alive", [b"\0", b"\1\1", b"\2"])
async def test_a_bitmap_of_other_classes_is_refused_before_it_is_queued(alive: bytes) -> None:
    bench = await Bench().taught()
    with pytest.raises(PayloadError, match="bitmap"):
        bench.runner.submit(bench.route, b"\1", None, bench.clock.now(), bench.outcomes.append, None, alive)
    assert isinstance(bench.runner.at_once(bench.route, b"\1", None, bench.clock.now(), alive), PayloadError)
    assert (len(bench.runner), bench.tail.batches) == (0, [])
