"""Telemetry crosses the wire whole, and what cannot be is refused by name."""

import math
from typing import Any

import pytest

from offramp.errors import WireError
from offramp.records import Answered, Revision
from offramp.telemetry import (
    DeviceHello,
    DeviceOrder,
    DeviceReport,
    DriftReport,
    EdgeBundle,
    EdgeHello,
    EdgeReport,
    LinkEstimate,
)
from offramp.units import BitsPerSecond, Bytes, Seconds
from offramp.wire import control
from offramp.wire.v1 import control_pb2 as pb

A_LINK = LinkEstimate(
    bandwidth=BitsPerSecond(2e6),
    bandwidth_low=BitsPerSecond(1.5e6),
    bandwidth_high=BitsPerSecond(3e6),
    round_trip=Seconds(0.04),
    round_trip_deviation=Seconds(0.001),
    edge=Seconds(0.002),
    age=Seconds(0.3),
    changes=2,
)
A_REPORT = DeviceReport(
    link=A_LINK,
    rate=10.0,
    plan="split=2, exit=none, codec=affine8+zstd",
    revision=Revision(3, 7),
    edge="192.0.2.7:50051",
    queue=1,
    answered={Answered.DEVICE: 4, Answered.EDGE: 3, Answered.DEGRADED: 2, Answered.REJECTED: 1},
    latency=Seconds(0.03),
    wire_bytes=Bytes(4_096),
    paces={"0-2": 0.004, "encode 2:affine8+zstd": 0.0001},
    drift=DriftReport(agreement=0.97, low=0.95, high=0.99, shadows=40, caution=1, event="noticed"),
    trouble="no such codec",
)
A_HELLO = DeviceHello(
    name="board", bundle="demo", digests=("ab" * 32,), profile=b"{}", objective="drop=1%", edge="", report=A_REPORT
)
AN_ORDER = DeviceOrder(
    plan="split=end",
    revision=Revision(3, 8),
    model_digest="ab" * 32,
    bundle="demo",
    edge="192.0.2.7:50051",
    sources=("192.0.2.8:50052",),
    predicted=Seconds(0.02),
    predicted_p95=Seconds(0.03),
    agreement=0.98,
    why="the link is lost",
)
AN_EDGE = EdgeHello(
    name="edge",
    address="192.0.2.7:50051",
    bundles=(EdgeBundle(model_digest="ab" * 32, name="demo", profile=b"{}"),),
    report=EdgeReport(
        wait=Seconds(0.01), busy=0.5, rate=80.0, queue=3, price=0.2, paces={"ab" * 32: {"2-8": 0.004}}, stopping=True
    ),
)


def test_a_device_hello_comes_back_whole() -> None:
    frame = pb.DeviceFrame.FromString(control.device_hello_to_proto(A_HELLO).SerializeToString())
    assert control.device_hello_from_proto(frame.hello) == A_HELLO


@pytest.mark.parametrize("report", [A_REPORT, DeviceReport(answered=dict.fromkeys(Answered, 0))], ids=["full", "empty"])
def test_a_device_report_comes_back_whole(report: Any) -> None:
    frame = pb.DeviceFrame.FromString(control.device_report_to_proto(report).SerializeToString())
    assert control.device_report_from_proto(frame.report) == report


def test_an_order_comes_back_whole() -> None:
    message = pb.DeviceOrder.FromString(control.order_to_proto(AN_ORDER).SerializeToString())
    assert control.order_from_proto(message) == AN_ORDER


def test_an_edge_hello_and_its_report_come_back_whole() -> None:
    frame = pb.EdgeFrame.FromString(control.edge_hello_to_proto(AN_EDGE).SerializeToString())
    assert control.edge_hello_from_proto(frame.hello) == AN_EDGE
    frame = pb.EdgeFrame.FromString(control.edge_report_to_proto(AN_EDGE.report).SerializeToString())
    assert control.edge_report_from_proto(frame.report) == AN_EDGE.report


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (pb.DeviceHello(), "a device has to be named"),
        (pb.DeviceHello(name="x" * 300), "name has 300 characters"),
        (pb.DeviceHello(name="x", profile=bytes(control.MAX_PROFILE + 1)), "a profile has"),
        (pb.DeviceHello(name="x", report=pb.DeviceReport(rate=math.nan)), "rate is nan"),
        (pb.DeviceHello(name="x", report=pb.DeviceReport(latency=-1.0)), "latency is -1.0"),
        (pb.DeviceHello(name="x", report=pb.DeviceReport(link=pb.Link(bandwidth=math.inf))), "bandwidth is inf"),
        (pb.DeviceHello(name="x", report=pb.DeviceReport(plan="p" * 5_000)), "plan has 5000 characters"),
    ],
)
def test_a_hello_that_cannot_be_is_refused_by_name(message: Any, said: Any) -> None:
    with pytest.raises(WireError, match=said):
        control.device_hello_from_proto(message)


def test_an_edge_without_an_address_is_refused() -> None:
    with pytest.raises(WireError, match="the address of an edge has to be named"):
        control.edge_hello_from_proto(pb.EdgeHello(name="edge"))
