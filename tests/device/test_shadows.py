"""Shadows come after their Result, when nothing else waits, and tell whether branch and network say the same."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.clock import ManualClock
from offramp.records import Answered, Result
from offramp.units import Seconds
from offramp_device.flight import Flight
from offramp_device.pipeline import Pipeline
from offramp_device.shadows import MOST, Shadows
from offramp_device.trust import Trust
from tests.device.fakes import STAGE, ScriptedUplink, a_pipeline, a_route, a_sample

BRANCHED = "split=3, exit=confidence:0.8@1, codec=float32"
ALL_HERE = "split=end, exit=confidence:0.8@1"


class Heard(Trust):
    """Notes labels instead of weighing them, and has every sample that leaves shadowed."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: list[tuple[bool, float]] = []

    def left(self) -> float:
        return 20.0

    def label(self, cut: int, scores_NS: NDArray[np.float32], *, agrees: bool, shadowed: float) -> None:
        self.labels.append((agrees, shadowed))


class Silent:
    def note(self, name: str, seconds: float) -> None: ...


@dataclass
class Bench:
    plan: str = BRANCHED
    clock: ManualClock = field(default_factory=lambda: ManualClock(Seconds(9.0)))
    idle: deque[Callable[[], None]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.trust, self.uplink = Heard(), ScriptedUplink(self.clock)
        self.shadows = Shadows(self.trust, self.clock, self.idle.append)
        self.pipeline: Pipeline = a_pipeline(self.plan, self.uplink, self.clock)
        self.pipeline.report_to(Silent(), self.shadows)

    def start(self, confidence: float = 0.9, label: int = 1) -> Result | Flight:
        return self.pipeline.start(a_sample(label=label, confidence=confidence, arrival=self.clock.now()))

    def rest(self) -> None:
        while self.idle:
            self.idle.popleft()()


def test_the_result_comes_first() -> None:
    bench = Bench()
    result = bench.start()
    assert isinstance(result, Result)
    assert (result.answered, result.latency) == (Answered.DEVICE, pytest.approx(STAGE))
    assert not bench.uplink.flights


@pytest.mark.parametrize(("label", "agrees"), [(1, True), (2, False)])
def test_a_shadow_walks_on_to_the_split_and_is_sent_like_a_request(label: int, agrees: bool) -> None:
    bench = Bench()
    bench.start(label=1)
    before = bench.clock.now()
    bench.rest()
    assert bench.clock.now() - before == pytest.approx(2 * STAGE)
    assert len(bench.uplink.flights[0].payload) == 8 * 8 * 8 * 4
    bench.uplink.answer(bench.uplink.numbers[0], label)
    assert bench.trust.labels == [(agrees, 20.0)]


def test_the_bytes_of_shadows_are_told_apart_from_those_of_samples() -> None:
    bench = Bench()
    bench.start()
    bench.rest()
    bench.uplink.answer(bench.uplink.numbers[0])
    assert bench.shadows.take_wire_bytes() == 8 * 8 * 8 * 4
    assert bench.shadows.take_wire_bytes() == 0


def test_a_plan_that_sends_nothing_has_its_shadows_answered_here() -> None:
    bench = Bench(ALL_HERE)
    bench.start()
    bench.rest()
    assert bench.trust.labels == [(True, 20.0)]
    assert not bench.uplink.flights


def test_an_offloaded_sample_that_a_branch_has_answered_is_a_label_for_nothing() -> None:
    bench = Bench()
    flight = bench.start(confidence=0.5, label=1)
    assert isinstance(flight, Flight)
    bench.pipeline.send(flight, lambda flight, outcome: bench.pipeline.land(flight, outcome) and None)
    bench.uplink.answer(bench.uplink.numbers[0], label=1)
    assert bench.trust.labels == [(True, 0.0)]


def test_only_a_few_wait() -> None:
    bench = Bench()
    for _ in range(3 * MOST):
        bench.start()
    assert len(bench.idle) == MOST
    bench.rest()
    assert len(bench.uplink.flights) == MOST


@pytest.mark.parametrize("how", ["unready", "lost", "broken"])
def test_a_shadow_without_an_answer_makes_room_for_the_next(how: str) -> None:
    bench = Bench()
    for _ in range(3 * MOST):
        bench.start()
        if how == "broken":
            shadow = bench.idle[0]
            bench.uplink.close()
            bench.pipeline.route.legs[-1].segment.run = _fails  # type: ignore[method-assign]
            with pytest.raises(RuntimeError):
                shadow()
            bench.idle.clear()
        else:
            bench.uplink.ready = how != "unready"
            bench.rest()
            bench.uplink.lose()
    assert not bench.trust.labels
    assert bench.shadows._open == 0


def _fails(_feature: object) -> None:
    raise RuntimeError("broken")


def test_while_nobody_may_leave_a_branch_is_asked_on_the_side() -> None:
    bench = Bench("split=3, exit=none, codec=float32")
    bench.shadows.probe = a_route(BRANCHED, bench.clock).legs[0]
    for _ in range(10):
        flight = bench.start(confidence=0.5, label=1)
        assert isinstance(flight, Flight)
        bench.pipeline.send(flight, lambda flight, outcome: bench.pipeline.land(flight, outcome) and None)
        bench.uplink.answer(bench.uplink.numbers[-1], label=1)
        bench.rest()
    assert bench.trust.labels == [(True, 0.0)] * len(bench.trust.labels)
    assert 1 <= len(bench.trust.labels) <= 4
