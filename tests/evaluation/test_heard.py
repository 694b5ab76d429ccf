"""What devices say in a live run becomes rows of a record, and no sample is lost on the way."""

import json

import pytest

from offramp.errors import OfframpError, SettingsError, WireError
from offramp.records import Answered, EdgeTimings, Result, Revision, Timings
from offramp.units import Bytes, Seconds
from offramp_device.report import result_line
from offramp_evaluation.live.heard import Heard, account
from offramp_evaluation.live.hosts import slowdown_for
from offramp_evaluation.road.lines import read_result
from offramp_evaluation.traces.trace import Trace
from tests.support.grounds import HEAD
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile

DOWN = Trace.of("down", [0.0], [8e6], duration=1.0, delay=0.020)


def a_result(stream: str = "device 0", index: int = 0, **changes: object) -> Result:
    """The edge's answer after 100 ms, of which it was away for 70 and worked for 10."""
    usual: dict[str, object] = {
        "answered": Answered.EDGE,
        "label": 1,
        "confidence": 0.75,
        "exit": 4,
        "latency": Seconds(0.1),
        "timings": Timings(
            wait=Seconds(0.01),
            head=Seconds(0.02),
            away=Seconds(0.07),
            edge=EdgeTimings(queue=Seconds(0.002), decode=Seconds(0.002), compute=Seconds(0.006), batch=2),
        ),
        "payload_bytes": Bytes(900),
        "wire_bytes": Bytes(950),
        "truth": 1,
        "name": "x.npz[0]",
    }
    return Result(stream=stream, index=index, **usual | changes)  # type: ignore[arg-type]


def heard_from(*results: Result) -> Heard:
    heard = Heard(a_manifest())
    for device in dict.fromkeys(result.stream for result in results):
        heard.ready(device, "split=2, codec=float32")
    for result in results:
        heard.take(result.stream, json.loads(result_line(result, ("a", "b"))))
    return heard


def test_a_result_is_read_back_as_the_device_wrote_it() -> None:
    rejected = a_result(answered=Answered.REJECTED, label=None, exit=None, timings=Timings(), reason="full")
    for result in (a_result(revision=Revision(3, 7)), rejected):
        read = read_result(json.loads(result_line(result, ("a", "b"))))
        assert str(read) == str(result)


@pytest.mark.parametrize("broken", [{"answered": "maybe"}, {"latency": None}, {"timings": {}}, {"revision": "x"}])
def test_a_line_that_is_no_result_is_refused(broken: dict[str, object]) -> None:
    line = json.loads(result_line(a_result(), ("a", "b")))
    with pytest.raises(WireError, match="not a result line"):
        read_result(line | broken)


def test_the_way_back_is_that_of_the_emulated_link_and_the_rest_was_the_way_there() -> None:
    done = heard_from(a_result()).happened(DOWN, {("device 0", 0): 0.0})
    back = 0.020 + done.up_seconds["device 0", 0]
    # 70 ms away, less 10 at the edge; an answer of some dozen bytes takes next to nothing on 8 Mbit/s.
    assert back == pytest.approx(0.060, abs=2e-4)
    assert back < 0.060


def test_a_batch_is_worked_on_once() -> None:
    done = heard_from(a_result()).happened(DOWN, {("device 0", 0): 0.0})
    assert done.edge_seconds == pytest.approx(0.002 + 0.006 / 2)


def test_equal_revisions_of_two_devices_are_two_plans() -> None:
    heard = heard_from(a_result("device 0"), a_result("device 1"))
    done = heard.happened(DOWN, {("device 0", 0): 0.0, ("device 1", 0): 0.0})
    assert len({result.revision for result in done.results}) == len(done.plans) == 2


def test_plans_from_before_the_beginning_do_not_count_but_for_the_one_in_force() -> None:
    heard = heard_from()
    heard.ready("device 0", "split=2, codec=float32")
    for number, split in ((1, 1), (2, 3)):
        if number == 2:
            heard.began()
        told = {"event": "plan", "plan": f"split={split}, codec=float32", "revision": f"5.{number}", "predicted": None}
        heard.take("device 0", told)
    for index, revision in enumerate((Revision(5, 1), Revision(5, 2))):
        heard.results.append(a_result(index=index, revision=revision))
    done = heard.happened(DOWN, {("device 0", 0): 0.0, ("device 0", 1): 0.5})
    assert [plan.split for plan in done.plans.values()] == [1, 3]


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ([("a", 0)], "1 samples, of 2 that were asked for, have no result: b #0"),
        ([("a", 0), ("b", 0), ("a", 0)], "have two results: a #0"),
        ([("a", 0), ("b", 0), ("c", 4)], "nobody had asked for them: c #4"),
    ],
)
def test_every_sample_has_exactly_one_result(heard: list[tuple[str, int]], told: str) -> None:
    account([("a", 0), ("b", 0)], [("b", 0), ("a", 0)])
    with pytest.raises(OfframpError, match=told):
        account([("a", 0), ("b", 0)], heard)


def test_this_machine_is_slowed_down_until_it_is_the_board() -> None:
    here = a_profile(HEAD)
    assert slowdown_for(here.slowed(30.0), here) == pytest.approx(30.0)


def test_a_board_faster_than_this_machine_is_refused_with_a_way_out() -> None:
    here = a_profile(HEAD)
    with pytest.raises(SettingsError, match="slow it down 4 times or more"):
        slowdown_for(here, here.slowed(4.0))
