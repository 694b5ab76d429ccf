from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.measure.profile import Profile
from offramp.planning.resolve import resolve
from offramp.planning.strategies.strategy import Choice
from offramp.records import Answered, Result
from offramp.tape.reader import Tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Driver, Fixed, Seen
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.trace import Trace
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile
from tests.support.tapes import write_a_tape

MANIFEST = a_manifest()
BOARD = a_profile((0.0, 0.010, 0.020, 0.030, 0.040))
EDGE = a_profile((0.0, 0.0003, 0.0006, 0.0009, 0.0012))
FAST = generate.constant(BitsPerSecond(20e6), duration=Seconds(1000), delay=Seconds(0.010))


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_a_tape(Path(tmp_path_factory.mktemp("tape")) / "seeded.tape", MANIFEST)


class Script:
    """A driver that follows a timetable."""

    period = Seconds(0.05)

    def __init__(self, *steps: tuple[float, str]) -> None:
        self._steps = [(time, resolve(text, MANIFEST)) for time, text in steps]

    def choose(self, seen: Seen) -> Choice:
        plan = [plan for time, plan in self._steps if time <= seen.now + 1e-9][-1]
        return Choice(plan=plan, forecast=None, why="")

    def learn(self, results: Sequence[Result]) -> None: ...


def a_device(
    plan: str = "split=2, exit=confidence:0.9",
    *,
    name: str = "a",
    count: int = 200,
    rate: float = 10.0,
    driver: Driver | None = None,
) -> DeviceScript:
    return DeviceScript(
        name=name,
        rows=np.arange(count) % 200,
        arrivals=arrivals.fixed(rate, count),
        driver=driver or Fixed(resolve(plan, MANIFEST)),
        profile=BOARD,
    )


def run(tape: Tape, *devices: DeviceScript, link: Trace = FAST, edge: Profile = EDGE, **more: Any) -> list[Result]:
    scenario = Scenario(tape=tape, manifest=MANIFEST, devices=devices, edge=edge, up=link, down=link, **more)
    return replay(scenario).results


def share(results: list[Result], answered: Answered) -> float:
    return sum(result.answered is answered for result in results) / len(results)


def mean_latency(results: list[Result], stream: str) -> float:
    return float(np.mean([result.latency for result in results if result.stream == stream]))


@pytest.mark.parametrize("rate", [1.0, 30.0, 200.0])
@pytest.mark.parametrize("plan", ["split=0", "split=2, exit=confidence:0.9", "split=1", "split=end"])
def test_every_sample_gets_exactly_one_result_however_fast_they_come(tape: Tape, plan: str, rate: float) -> None:
    results = run(tape, a_device(plan, rate=rate))
    assert sorted((result.stream, result.index) for result in results) == [("a", index) for index in range(200)]


def test_the_same_scenario_gives_the_same_results(tape: Tape) -> None:
    assert [str(result) for result in run(tape, a_device())] == [str(result) for result in run(tape, a_device())]


def test_latency_on_an_idle_link_is_the_sum_of_where_the_time_goes(tape: Tape) -> None:
    result = run(tape, a_device("split=1", count=1))[0]
    bits = 8 * result.wire_bytes
    expected = 0.010 + 0.001 + bits / 20e6 + 0.010 + 0.001 + 0.0009 + 0.010
    assert result.latency == pytest.approx(expected, abs=1e-4)


def test_what_a_source_adds_to_a_sample_comes_before_its_first_stage(tape: Tape) -> None:
    plain, slowed = (run(tape, a_device(count=1), overhead=Seconds(extra))[0] for extra in (0.0, 0.004))
    assert slowed.timings.wait == pytest.approx(0.004)
    assert slowed.latency - plain.latency == pytest.approx(0.004)


def test_answers_are_those_of_the_tape(tape: Tape) -> None:
    labels = [result.label for result in sorted(run(tape, a_device("split=1")), key=lambda result: result.index)]
    assert labels == tape.answer(1, "affine8+zstd").label_N.tolist()


def test_a_thin_link_is_answered_by_the_deepest_branch_and_flagged(tape: Tape) -> None:
    thin = generate.constant(BitsPerSecond(20e3), duration=Seconds(1000), delay=Seconds(0.010))
    results = run(tape, a_device("split=2, exit=confidence:0.99"), link=thin)
    degraded = [result for result in results if result.answered is Answered.DEGRADED]
    assert len(degraded) > 50
    assert {result.exit for result in degraded} == {2}
    assert all(result.latency <= 1.0 for result in results if result.label is not None)


def test_in_an_outage_the_device_answers_alone_and_offloads_again_afterwards(tape: Tape) -> None:
    link = generate.step(
        [(Seconds(5), BitsPerSecond(20e6)), (Seconds(5), BitsPerSecond(0)), (Seconds(100), BitsPerSecond(20e6))],
        delay=Seconds(0.01),
    )
    by_index = {result.index: result for result in run(tape, a_device("split=2"), link=link)}
    assert {by_index[index].answered for index in range(45)} == {Answered.EDGE}
    assert {by_index[index].answered for index in range(60, 90)} == {Answered.DEGRADED}
    assert {by_index[index].answered for index in range(140, 200)} == {Answered.EDGE}


def test_a_plan_is_swapped_between_two_samples(tape: Tape) -> None:
    results = run(tape, a_device(driver=Script((0.0, "split=end"), (5.05, "split=0"))))
    answered = [result.answered for result in sorted(results, key=lambda result: result.index)]
    assert answered == [Answered.DEVICE] * 51 + [Answered.EDGE] * 149


def test_devices_that_share_a_thin_link_wait_for_each_other(tape: Tape) -> None:
    link = generate.constant(BitsPerSecond(400e3), duration=Seconds(1000), delay=Seconds(0.001))
    pair = (a_device("split=1", name="a"), a_device("split=1", name="b"))
    alone, together = run(tape, *pair, link=link), run(tape, *pair, link=link, shared_link=True)
    # Both arrive at the same moment; b's payload goes after a's, which takes the link for so long:
    transmit = 8 * np.mean([result.wire_bytes for result in alone]) / 400e3
    waited = mean_latency(together, "b") - mean_latency(alone, "b")
    assert waited == pytest.approx(transmit, rel=0.1)


def test_a_device_that_cannot_keep_up_rejects_what_does_not_fit_its_queue(tape: Tape) -> None:
    results = run(tape, a_device("split=end", rate=50.0))
    assert share(results, Answered.REJECTED) == pytest.approx(0.5, abs=0.1)
    assert max(result.latency for result in results if result.label is not None) < 9.5 * 0.040


SLOW_EDGE = a_profile((0.0, 0.050, 0.100, 0.150, 0.200))


def computed(results: list[Result], exit_at: int) -> list[float]:
    return [
        result.timings.edge.compute
        for result in results
        if result.exit == exit_at and result.timings.edge is not None and result.timings.edge.batch == 1
    ]


def test_who_leaves_in_the_tail_takes_what_leads_there_and_is_charged_no_more(tape: Tape) -> None:
    results = run(tape, a_device("split=0, tail=confidence:0.8@1", rate=2.0), edge=SLOW_EDGE)
    left, whole = computed(results, 1), computed(results, MANIFEST.end)
    branch, rest = (SLOW_EDGE.segment(0, 1, branch=True).expected, SLOW_EDGE.segment(1, MANIFEST.end).expected)
    assert min(len(left), len(whole)) > 20
    assert left == pytest.approx([branch] * len(left))
    assert whole == pytest.approx([branch + rest] * len(whole))


def test_of_a_batch_those_who_leave_are_answered_before_the_others(tape: Tape) -> None:
    devices = [a_device("split=0, tail=confidence:0.8@1", name=name, rate=4.0, count=60) for name in "abcd"]
    results = [one for one in run(tape, *devices, edge=SLOW_EDGE) if one.timings.edge and one.timings.edge.batch > 1]
    left, whole = ([one for one in results if one.exit == cut] for cut in (1, MANIFEST.end))
    assert left
    assert whole
    assert max(one.timings.edge.compute / one.timings.edge.batch for one in left if one.timings.edge) < min(
        one.timings.edge.compute / one.timings.edge.batch for one in whole if one.timings.edge
    )


def test_exits_at_the_edge_spare_it_work_only_under_the_load_that_they_wait_for(tape: Tape) -> None:
    def seconds(plan: str, devices: int) -> float:
        scripts = tuple(a_device(plan, name=str(number), rate=1.0, count=60) for number in range(devices))
        scenario = Scenario(tape=tape, manifest=MANIFEST, devices=scripts, edge=SLOW_EDGE, up=FAST, down=FAST)
        return replay(scenario).edge_seconds / devices

    always, crowded = "split=0, tail=confidence:0.5@1", "split=0, tail=confidence:0.5@1, queue=3"
    assert seconds(always, 1) < seconds("split=0", 1) == pytest.approx(seconds(crowded, 1))
    assert seconds(crowded, 4) < 0.9 * seconds("split=0", 4)


def test_the_edge_is_charged_the_stages_and_branches_that_it_ran(tape: Tape) -> None:
    device = a_device("split=1, tail=confidence:0.8@2", rate=2.0)
    scenario = Scenario(tape=tape, manifest=MANIFEST, devices=(device,), edge=EDGE, up=FAST, down=FAST)
    done = replay(scenario)
    exits = [result.exit for result in done.results]
    stage, branch = MANIFEST.stages[0].macs, MANIFEST.branches[1].macs
    assert set(exits) == {2, 4}
    assert done.edge_macs == sum(branch + stage * (1 if cut == 2 else 3) for cut in exits)
