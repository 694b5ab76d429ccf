"""Every sample that enters gets exactly one Result, whatever happens in whatever order."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.clock import ManualClock
from offramp.records import Answered, Result, Sample
from offramp.units import Seconds
from offramp_device.intake import Intake
from offramp_device.pipeline import Pipeline
from offramp_device.worker import STOPPING, Worker
from tests.device.fakes import STAGE, ScriptedUplink, a_pipeline, a_route, a_sample

BRANCHED = "split=3, exit=confidence:0.8@1, codec=float32"
PLAIN = "split=2, exit=none, codec=float32"
DEADLINE = 0.3


@dataclass
class Bench:
    """A worker whose thread is the test."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(Seconds(50.0)))
    plan: str = BRANCHED
    capacity: int = 8
    window: int = 4
    ready: bool = True

    def __post_init__(self) -> None:
        self.uplink = ScriptedUplink(self.clock, ready=self.ready)
        self.pipeline: Pipeline = a_pipeline(self.plan, self.uplink, self.clock, deadline=DEADLINE)
        self.intake = Intake(self.capacity, self.window)
        self.results: list[Result] = []
        self.worker = Worker(self.pipeline, self.intake, self.clock, self.results.append)

    def arrive(self, index: int, **named: float) -> bool:
        return self.worker.arrive(a_sample(index, arrival=self.clock.now(), **named))  # type: ignore[arg-type]

    def step(self) -> bool:
        """One turn, if there is anything to do at once."""
        if not (self.intake._returned or self.intake._offered):
            return False
        item = self.intake.take()
        assert item is not None
        self.worker.step(item)
        return True

    def drain(self) -> None:
        self.uplink.lose()
        while self.step():
            self.uplink.lose()

    def answered(self) -> list[Answered]:
        return [result.answered for result in self.results]


def test_overflow_is_a_rejected_result() -> None:
    bench = Bench(capacity=2)
    accepted = [bench.arrive(index) for index in range(3)]
    assert accepted == [True, True, False]
    assert [(result.index, result.reason) for result in bench.results] == [(2, "the source queue is full (2 samples)")]


def test_a_lost_flight_that_needs_stages_comes_back_to_the_thread_of_the_stages() -> None:
    bench = Bench(plan=PLAIN)
    bench.arrive(0)
    bench.step()
    before = bench.clock.now()
    bench.uplink.lose()
    assert (bench.results, bench.clock.now()) == ([], before)
    bench.step()
    assert bench.answered() == [Answered.DEGRADED]
    assert bench.results[0].timings.fallback == pytest.approx(2 * STAGE)


def test_a_lost_flight_with_a_branchs_answer_is_answered_at_once() -> None:
    bench = Bench(plan=BRANCHED)
    bench.arrive(0)
    bench.step()
    bench.uplink.lose()
    assert bench.answered() == [Answered.DEGRADED]


def test_returned_flights_come_before_new_samples() -> None:
    bench = Bench(plan=PLAIN)
    bench.arrive(0)
    bench.step()
    bench.arrive(1)
    bench.uplink.lose()
    bench.step()
    assert [result.index for result in bench.results] == [0]


def test_a_late_answer_changes_nothing() -> None:
    bench = Bench()
    bench.arrive(0)
    bench.step()
    bench.clock.advance(Seconds(bench.uplink.flights[0].due - bench.clock.now()))
    bench.uplink.expire()
    bench.uplink.answer(bench.uplink.numbers[0])
    assert bench.answered() == [Answered.DEGRADED]
    assert bench.uplink.ledger.late == 1


def test_stopping_rejects_what_waits_and_waits_for_what_is_under_way() -> None:
    bench = Bench()
    bench.arrive(0)
    bench.step()
    bench.arrive(1)
    bench.worker.stop()
    bench.arrive(2)
    bench.uplink.answer(bench.uplink.numbers[0])
    assert [(result.index, result.answered, result.reason) for result in bench.results] == [
        (1, Answered.REJECTED, STOPPING),
        (2, Answered.REJECTED, STOPPING),
        (0, Answered.EDGE, ""),
    ]
    assert bench.intake.take() is None


def test_a_source_that_can_wait_is_held_back_by_what_is_away() -> None:
    bench = Bench(window=1)
    for index in range(2):
        bench.intake.put(lambda index=index: a_sample(index, arrival=bench.clock.now()))  # type: ignore[misc]
    bench.worker.step(bench.intake.take())  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(bench.intake.take)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.05)
        bench.clock.advance(Seconds(0.1))
        bench.uplink.answer(bench.uplink.numbers[0])
        bench.worker.step(second.result(timeout=5))  # type: ignore[arg-type]
    bench.uplink.answer(bench.uplink.numbers[1])
    assert bench.answered() == [Answered.EDGE, Answered.EDGE]
    assert bench.results[1].timings.wait == 0  # it arrived when it was taken


def test_a_sample_that_breaks_the_stages_is_rejected_and_the_next_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.worker.arrive(Sample(stream="test", index=0, data=None, arrival=bench.clock.now()))  # type: ignore[arg-type]
    bench.arrive(1, confidence=0.9)
    while bench.step():
        pass
    assert bench.answered() == [Answered.REJECTED, Answered.DEVICE]
    assert "failed: TypeError" in bench.results[0].reason
    assert "sample test/0 failed" in caplog.text


Action = tuple[str, int]
ACTIONS: st.SearchStrategy[list[Action]] = st.lists(
    st.tuples(
        st.sampled_from(
            ["arrive", "arrive", "step", "step", "answer", "answer", "expire", "wait", "lose", "toggle", "swap", "stop"]
        ),
        st.integers(0, 9),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(st.sampled_from([BRANCHED, PLAIN, "split=0, exit=none, codec=raw", "split=end, exit=margin:0.5"]), ACTIONS)
def test_every_sample_gets_exactly_one_result_in_time_or_not_at_all(plan: str, actions: list[Action]) -> None:
    bench = Bench(plan=plan, capacity=3)
    plans = [a_route(text, bench.clock, counter=1) for text in (BRANCHED, PLAIN, "split=end, exit=none")]
    arrived = 0
    for name, choice in actions:
        if name == "arrive":
            bench.arrive(arrived, confidence=choice / 10)
            arrived += 1
        elif name == "step":
            bench.step()
        elif name == "answer" and bench.uplink.numbers:
            bench.uplink.answer(bench.uplink.numbers[choice % len(bench.uplink.numbers)])
        else:
            _perform(bench, name, choice, plans)
    bench.drain()
    assert Counter(result.index for result in bench.results) == Counter(range(arrived))
    assert bench.worker.entered == arrived
    assert bench.intake._away == 0
    for result in bench.results:
        assert result.answered is Answered.REJECTED or result.latency <= DEADLINE + 1e-9


def _perform(bench: Bench, name: str, choice: int, routes: list[object]) -> None:
    performances: dict[str, Callable[[], object]] = {
        "expire": bench.uplink.expire,
        "wait": lambda: bench.clock.advance(Seconds(0.05 * choice)),
        "lose": bench.uplink.lose,
        "toggle": lambda: setattr(bench.uplink, "ready", not bench.uplink.ready),
        "swap": lambda: bench.pipeline.adopt(routes[choice % len(routes)]),  # type: ignore[arg-type]
        "stop": bench.worker.stop if choice == 9 else lambda: None,
    }
    performances.get(name, lambda: None)()
