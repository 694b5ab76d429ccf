"""A report says what has happened since the one before, and what is the case now."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from offramp.bundle.store import Bundle
from offramp.records import Answered, Result
from offramp.units import Bytes, Seconds
from offramp_device import Device
from offramp_device.edges import Edges
from offramp_device.shadows import Shadows
from offramp_device.telemetry import Telemetry
from offramp_device.trust import Trust


@dataclass
class Bench:
    device: Device
    telemetry: Telemetry


@pytest.fixture
def bench(tiny_bundle: Bundle) -> Iterator[Bench]:
    def nobody(address: object) -> object:
        raise AssertionError(f"{address} is not asked for")

    with Device.open(tiny_bundle, plan="split=end") as device:
        trust = Trust()
        shadows = Shadows(trust, device.clock, lambda work: None)
        telemetry = Telemetry(device, Edges(nobody), trust, shadows, waiting=lambda: 3)  # type: ignore[arg-type]
        device.pipeline.report_to(telemetry.speeds, shadows)
        yield Bench(device, telemetry)


def a_result(answered: Answered, latency: float = 0.1, wire_bytes: int = 0) -> Result:
    label = None if answered is Answered.REJECTED else 1
    return Result(
        stream="s", index=0, answered=answered, label=label, latency=Seconds(latency), wire_bytes=Bytes(wire_bytes)
    )


def test_counts_and_means_are_those_since_the_report_before(bench: Bench) -> None:
    bench.telemetry.note(a_result(Answered.DEVICE))
    bench.telemetry.report()
    for result in (a_result(Answered.EDGE, 0.2, 1_000), a_result(Answered.DEGRADED, 0.4), a_result(Answered.REJECTED)):
        bench.telemetry.note(result)
    report = bench.telemetry.report()
    assert dict(report.answered) == {Answered.EDGE: 1, Answered.DEGRADED: 1, Answered.REJECTED: 1}
    assert report.latency == pytest.approx(0.3)  # a rejected sample was not answered
    assert report.wire_bytes == 1_000


def test_a_quiet_second_reports_nothing_that_did_not_happen(bench: Bench) -> None:
    report = bench.telemetry.report()
    assert (report.latency, report.wire_bytes, report.rate, report.link, report.edge) == (0.0, 0, 0.0, None, "")


def test_what_holds_now_is_in_every_report(bench: Bench) -> None:
    report = bench.telemetry.report(trouble="why not")
    assert (report.plan, report.queue, report.trouble) == ("split=4, exit=none, codec=none", 3, "why not")


def test_paces_are_measured_while_serving_and_reported_when_they_change(bench: Bench, tiny_bundle: Bundle) -> None:
    image = tiny_bundle.reference()[0][0]
    for _ in range(10):
        bench.device.infer(image)
    assert set(bench.telemetry.report().paces) == {"0-4"}
    bench.telemetry._reported = dict(bench.telemetry.speeds.values())
    assert bench.telemetry.report().paces == {}
    assert set(bench.telemetry.report(afresh=True).paces) == {"0-4"}
