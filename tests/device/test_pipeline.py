"""The way a sample goes: where it leaves, who answers, and what stands in when nobody does."""

from dataclasses import replace

import numpy as np
import pytest

from offramp.clock import ManualClock
from offramp.exits.policy import BranchOutputs, Decision, Instance, State
from offramp.records import Answer, Answered, Revision
from offramp.units import Seconds
from offramp_device.pipeline import MARGIN_SHARE, Pipeline
from offramp_device.route import RouteOpener
from offramp_device.uplink import LostUplink
from tests.device.fakes import (
    STAGE,
    FakeRuntime,
    ScriptedUplink,
    a_pipeline,
    a_route,
    a_sample,
    an_answer,
    ended,
    start,
)
from tests.support.manifests import a_manifest

TWO_BRANCHES = "split=3, exit=confidence:0.8@1/0.8@2, codec=float32"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(Seconds(100.0))


def test_a_sure_sample_leaves_at_the_first_branch(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    result = ended(pipeline.start(a_sample(confidence=0.9, arrival=clock.now())))
    assert (result.answered, result.exit, result.label) == (Answered.DEVICE, 1, 1)
    assert result.latency == pytest.approx(STAGE)


def test_an_unsure_sample_becomes_a_payload_of_the_split(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(confidence=0.5, arrival=clock.now()))
    assert len(flight.payload) == 8 * 8 * 8 * 4
    assert flight.head == pytest.approx(3 * STAGE)


def test_a_branch_that_the_plan_does_not_ask_is_never_run(clock: ManualClock) -> None:
    manifest = a_manifest()
    runtime = FakeRuntime(manifest, clock)
    from offramp.planning.resolve import resolve

    RouteOpener(manifest, runtime, clock).open(resolve("split=3, exit=confidence:0.8@2, codec=float32", manifest))
    assert runtime.opened == [(0, 2, True), (2, 3, False)]


def test_stages_without_a_decision_between_them_are_one_segment(clock: ManualClock) -> None:
    route = a_route("split=3, exit=none, codec=float32", clock)
    assert [leg.segment.spec.stop for leg in route.legs] == [3]


def test_a_plan_that_sends_nothing_is_answered_at_the_end(clock: ManualClock) -> None:
    result = ended(a_pipeline("split=end, exit=none", LostUplink(), clock).start(a_sample(arrival=clock.now())))
    assert (result.answered, result.exit) == (Answered.DEVICE, 4)


def test_the_edges_answer_is_softened_by_the_final_temperature(clock: ManualClock) -> None:
    uplink = ScriptedUplink(clock)
    pipeline = a_pipeline(TWO_BRANCHES, uplink, clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    result = pipeline.finish(flight, an_answer(2), clock.now())
    assert (result.answered, result.exit, result.label) == (Answered.EDGE, 4, 2)
    assert result.confidence == pytest.approx(np.exp(4) / (np.exp(4) + 4))


def test_a_result_says_at_which_branch_the_edge_left_and_is_softened_by_its_temperature(clock: ManualClock) -> None:
    manifest = a_manifest(branches=(1, 3))
    warm = tuple(replace(branch, temperature=2.0) for branch in manifest.branches)
    pipeline = a_pipeline(
        "split=2, tail=confidence:0.9, codec=float32",
        ScriptedUplink(clock),
        clock,
        manifest=replace(manifest, branches=warm),
    )
    flight = start(pipeline, a_sample(arrival=clock.now()))
    result = pipeline.finish(flight, an_answer(2, cut=3), clock.now())
    assert (result.answered, result.exit, result.label) == (Answered.EDGE, 3, 2)
    assert result.confidence == pytest.approx(np.exp(2) / (np.exp(2) + 4))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (an_answer(cut=3), "answered at branch 3, which the plan does not ask there"),
        (replace(an_answer(), decided=5), "answered with class 5 of 5"),
    ],
)
def test_an_answer_that_the_plan_cannot_have_is_not_believed(clock: ManualClock, answer: Answer, reason: str) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    result = pipeline.finish(start(pipeline, a_sample(arrival=clock.now())), answer, clock.now())
    assert result.answered is Answered.DEGRADED
    assert reason in result.reason


def test_an_answer_is_labelled_as_the_exits_at_the_edge_say(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    assert pipeline.finish(flight, replace(an_answer(2), decided=4), clock.now()).label == 4


class TwoAlive(Instance):
    """Excludes all classes but 1 and 3."""

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        return Decision(np.zeros(1, np.bool_)), (np.array([[False, True, False, True, False]]),)


@pytest.mark.parametrize(("mask", "alive"), [("on", bytes([0b01010])), ("off", b"")])
def test_the_classes_that_are_alive_travel_where_the_plan_asks_for_it(
    clock: ManualClock, mask: str, alive: bytes
) -> None:
    route = a_route(f"split=3, exit=exclusion:0@1/0@2, mask={mask}, codec=float32", clock)
    pipeline = Pipeline(replace(route, policy=TwoAlive()), ScriptedUplink(clock), clock, deadline=Seconds(1.0))
    flight = start(pipeline, a_sample(arrival=clock.now()))
    assert flight.alive == alive
    pipeline.send(flight, lambda *_: None)
    assert pipeline.finish(flight, an_answer(), clock.now()).payload_bytes == len(flight.payload) + len(alive)


def test_nothing_is_sent_of_classes_that_are_all_alive(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=3, exit=exclusion:0@1, mask=on, codec=float32", ScriptedUplink(clock), clock)
    assert start(pipeline, a_sample(arrival=clock.now())).alive == b""


def test_a_lost_link_is_answered_by_the_deepest_local_branch(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, LostUplink(), clock)
    result = ended(pipeline.start(a_sample(arrival=clock.now())))
    assert (result.answered, result.exit, result.reason) == (Answered.DEGRADED, 2, "no edge")


def test_the_way_from_the_last_branch_to_the_split_is_spared_when_there_is_no_edge(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, LostUplink(), clock)
    assert ended(pipeline.start(a_sample(arrival=clock.now()))).latency == pytest.approx(2 * STAGE)


@pytest.mark.parametrize("plan", ["split=0, exit=none, codec=raw", "split=3, exit=none, codec=float32"])
def test_without_a_branch_the_device_walks_on_to_the_end(plan: str, clock: ManualClock) -> None:
    result = ended(a_pipeline(plan, LostUplink(), clock).start(a_sample(arrival=clock.now())))
    assert (result.answered, result.exit) == (Answered.DEGRADED, 4)


def test_with_too_little_time_for_the_end_the_nearest_branch_answers(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=0, exit=none, codec=raw", LostUplink(), clock, deadline=2.5 * STAGE)
    result = ended(pipeline.start(a_sample(arrival=clock.now())))
    assert (result.answered, result.exit) == (Answered.DEGRADED, 1)


def test_with_too_little_time_for_anything_the_sample_is_rejected_with_both_reasons(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=0, exit=none, codec=raw", LostUplink(), clock, deadline=0.5 * STAGE)
    result = ended(pipeline.start(a_sample(arrival=clock.now())))
    assert result.answered is Answered.REJECTED
    assert "no edge" in result.reason
    assert "too little time" in result.reason


def test_a_detour_that_was_too_slow_is_tried_again_in_time(clock: ManualClock) -> None:
    """Its pace fades with each refusal: one bad spell must not close it for ever."""
    pipeline = a_pipeline("split=3, exit=none, codec=float32", LostUplink(), clock, deadline=4.5 * STAGE)
    pipeline.route.detours[-1].pace.seconds = 10 * STAGE
    answers = [ended(pipeline.start(a_sample(arrival=clock.now()))).answered for _ in range(200)]
    assert answers[0] is Answered.REJECTED
    assert answers[-1] is Answered.DEGRADED


def test_the_wait_for_the_edge_leaves_time_for_the_detour(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=2, exit=none, codec=float32", ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    assert flight.deadline - flight.due == pytest.approx(MARGIN_SHARE + 2.5 * 2 * STAGE)


def test_a_detour_that_takes_most_of_the_time_keeps_back_its_own_run_alone(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=2, exit=none, codec=float32", ScriptedUplink(clock), clock, deadline=8 * STAGE)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    assert flight.deadline - flight.due == pytest.approx(0.005 + 1.25 * 2 * STAGE)


def test_with_a_branchs_answer_in_hand_the_wait_ends_just_before_the_deadline(clock: ManualClock) -> None:
    flight = start(a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock), a_sample(arrival=clock.now()))
    assert flight.deadline - flight.due == pytest.approx(MARGIN_SHARE)


def test_a_sample_that_waited_past_its_deadline_is_rejected_before_any_stage(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    before = clock.now()
    result = ended(pipeline.start(a_sample(arrival=clock.now() - 1.5)))
    assert result.answered is Answered.REJECTED
    assert "waited 1.50 s for its first stage" in result.reason
    assert clock.now() == before


def test_a_device_too_slow_for_its_deadline_rejects_rather_than_answer_late(clock: ManualClock) -> None:
    pipeline = a_pipeline("split=end, exit=none", LostUplink(), clock, deadline=3 * STAGE)
    result = ended(pipeline.start(a_sample(arrival=clock.now())))
    assert result.answered is Answered.REJECTED
    assert "10.0 ms too late" in result.reason


def test_latency_counts_from_the_scheduled_arrival(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    result = ended(pipeline.start(a_sample(confidence=0.9, arrival=clock.now() - 0.3)))
    assert result.latency == pytest.approx(0.3 + STAGE)
    assert result.timings.wait == pytest.approx(0.3)


def test_a_payload_that_the_uplink_refuses_counts_as_not_sent(clock: ManualClock) -> None:
    uplink = ScriptedUplink(clock)
    pipeline = a_pipeline(TWO_BRANCHES, uplink, clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    uplink.ready = False
    result = ended(pipeline.send(flight, lambda *_: None))
    assert (result.answered, result.reason, result.payload_bytes) == (Answered.DEGRADED, "no edge", 0)
    assert result.timings.away == 0


def test_an_answer_of_the_wrong_size_is_not_believed(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    result = pipeline.finish(flight, an_answer(2, classes=7), clock.now())
    assert result.answered is Answered.DEGRADED
    assert "7 logits instead of 5" in result.reason


def test_the_top_classes_alone_are_not_mistaken_for_all_of_them(clock: ManualClock) -> None:
    pipeline = a_pipeline(TWO_BRANCHES, ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(arrival=clock.now()))
    answer = Answer(logits=np.ones(5, np.float32), classes=np.arange(5))
    assert pipeline.finish(flight, answer, clock.now()).answered is Answered.DEGRADED


def test_a_plan_is_swapped_between_samples_and_flights_stay_on_theirs(clock: ManualClock) -> None:
    uplink = ScriptedUplink(clock)
    pipeline = a_pipeline(TWO_BRANCHES, uplink, clock)
    before = start(pipeline, a_sample(0, arrival=clock.now()))
    pipeline.adopt(a_route("split=1, exit=none, codec=float16", clock, counter=7))
    after = start(pipeline, a_sample(1, arrival=clock.now()))
    results = [pipeline.finish(flight, an_answer(), clock.now()) for flight in (before, after)]
    assert [result.revision for result in results] == [Revision(0, 0), Revision(0, 7)]
    assert [len(flight.payload) for flight in (before, after)] == [2048, 1024]


def test_an_uplink_is_swapped_between_samples_and_flights_keep_the_one_they_started_with(clock: ManualClock) -> None:
    here, there = ScriptedUplink(clock), ScriptedUplink(clock)
    pipeline = a_pipeline(TWO_BRANCHES, here, clock)
    before = start(pipeline, a_sample(0, arrival=clock.now()))
    pipeline.adopt(pipeline.route, there)
    after = start(pipeline, a_sample(1, arrival=clock.now()))
    for flight in (before, after):
        pipeline.send(flight, lambda *_: None)
    assert [[flight.sample.index for flight in uplink.flights] for uplink in (here, there)] == [[0], [1]]


@pytest.mark.parametrize("keep", [True, False])
def test_logits_are_kept_only_when_asked_for(keep: bool, clock: ManualClock) -> None:
    route = a_route(TWO_BRANCHES, clock)
    pipeline = Pipeline(route, LostUplink(), clock, deadline=Seconds(1.0), keep_logits=keep)
    assert (ended(pipeline.start(a_sample(arrival=clock.now()))).logits is not None) is keep
