"""A temporal policy on the road: a scene that the device recognises spares the upload, whoever named it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.clock import ManualClock
from offramp.exits.policy import UNKNOWN, BranchOutputs, Decision, State
from offramp.records import Answered, Result
from offramp.units import Seconds
from offramp_device.flight import Flight
from offramp_device.pipeline import Pipeline
from offramp_device.route import Route
from offramp_device.uplink import Uplink
from tests.device.fakes import ScriptedUplink, a_route, a_sample, an_answer, ended, start

PLAN = "split=3, exit=confidence:1@1, codec=float32"


class SameAgain:
    """Leaves when the branch says what it said of the stream's last sample, with the answer which that one had."""

    temporal = True

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        said_N = outputs.logits_NK.argmax(axis=1)
        nothing_N = np.full(len(said_N), UNKNOWN)
        before_N, answer_N = state[:2] if state else (nothing_N, nothing_N)
        return Decision(said_N == before_N, answer_N), (before_N, answer_N, said_N)

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        before_N, answer_N, said_N = state
        known_N = label_N != UNKNOWN
        return np.where(known_N, said_N, before_N), np.where(known_N, label_N, answer_N)


class Bench:
    """A device whose branch names what is seen, and an edge that answers when it is told to."""

    def __init__(self) -> None:
        self.clock = ManualClock(Seconds(100.0))
        self.uplink = ScriptedUplink(self.clock)
        self.pipeline = Pipeline(self._route(PLAN), self.uplink, self.clock, deadline=Seconds(1.0))
        self.results: dict[int, Result] = {}
        self._index = 0

    def _route(self, plan: str) -> Route:
        return replace(a_route(plan, self.clock), policy=SameAgain())

    def adopt(self, plan: str, uplink: Uplink | None = None) -> None:
        self.pipeline.adopt(self._route(plan), uplink)

    def see(self, label: int, *, stream: str = "test", waited: float = 0.0) -> Result | Flight:
        self._index += 1
        sample = a_sample(self._index, label=label, arrival=self.clock.now() - waited)
        return self.pipeline.start(replace(sample, stream=stream))

    def upload(self, label: int, *, stream: str = "test") -> int:
        """Number of the request, whose answer is still to come."""
        flight = self.see(label, stream=stream)
        assert isinstance(flight, Flight), flight
        self.pipeline.send(flight, self._land)
        return self.uplink.numbers[-1]

    def recognise(self, label: int, *, stream: str = "test") -> Result:
        return ended(self.see(label, stream=stream))

    def _land(self, flight: Flight, outcome: object) -> None:
        self.results[flight.sample.index] = self.pipeline.land(flight, outcome)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_scene_recognised_on_the_device_sends_nothing_and_has_the_edges_label(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1), label=3)
    result = bench.recognise(1)
    assert (result.answered, result.label, result.exit) == (Answered.DEVICE, 3, 1)
    assert (result.payload_bytes, result.wire_bytes, len(bench.uplink.flights)) == (0, 0, 1)


def test_a_scenes_label_has_the_probability_that_the_branch_grants_it(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1), label=3)
    assert bench.recognise(1).confidence == pytest.approx(1 / (np.e + 4))


def test_another_scene_is_uploaded_again(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1), label=3)
    bench.uplink.answer(bench.upload(2), label=4)
    assert bench.recognise(2).label == 4


def test_while_the_answer_is_on_its_way_the_scene_is_not_recognised(bench: Bench) -> None:
    first, second = bench.upload(1), bench.upload(1)
    bench.uplink.answer(first, label=3)
    assert bench.recognise(1).label == 3
    bench.uplink.answer(second, label=3)
    assert [result.answered for result in bench.results.values()] == [Answered.EDGE] * 2


def test_the_answer_to_an_older_sample_does_not_bring_its_scene_back(bench: Bench) -> None:
    first, second = bench.upload(1), bench.upload(2)
    bench.uplink.answer(second, label=4)
    bench.uplink.answer(first, label=3)
    assert bench.recognise(2).label == 4


def test_streams_have_scenes_of_their_own(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1, stream="left"), label=3)
    bench.uplink.answer(bench.upload(1, stream="right"), label=4)
    assert [bench.recognise(1, stream=stream).label for stream in ("left", "right")] == [3, 4]


def test_a_degraded_answer_names_no_scene(bench: Bench) -> None:
    """Else an outage of one frame would label the whole scene, unflagged, with what nobody was sure of."""
    bench.upload(1)
    bench.uplink.lose()
    assert [result.answered for result in bench.results.values()] == [Answered.DEGRADED]
    bench.uplink.answer(bench.upload(1), label=3)
    assert bench.recognise(1).label == 3


def test_a_sample_that_no_branch_has_seen_leaves_the_scene_as_it_is(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1), label=3)
    assert ended(bench.see(2, waited=1.5)).answered is Answered.REJECTED
    assert bench.recognise(1).label == 3


def test_a_plan_that_only_sends_otherwise_keeps_the_scenes(bench: Bench) -> None:
    bench.uplink.answer(bench.upload(1), label=3)
    bench.adopt("split=2, exit=confidence:1@1, codec=float16")
    assert bench.recognise(1).label == 3


def test_a_plan_with_other_exits_begins_afresh_whatever_is_still_on_its_way(bench: Bench) -> None:
    number = bench.upload(1)
    bench.adopt("split=3, exit=confidence:1@2, codec=float32")
    bench.uplink.answer(number, label=3)
    assert isinstance(bench.see(1), Flight)


def test_an_instance_policy_remembers_nothing() -> None:
    clock = ManualClock(Seconds(100.0))
    uplink = ScriptedUplink(clock)
    pipeline = Pipeline(a_route(PLAN, clock), uplink, clock, deadline=Seconds(1.0))
    pipeline.finish(start(pipeline, a_sample(arrival=clock.now())), an_answer(), clock.now())
    assert start(pipeline, a_sample(1, arrival=clock.now())).state == ()
