"""Telemetry and orders to protobuf and back, always in pairs; what a peer sent is bounded before it becomes a value."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

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
from offramp.wire.v1 import control_pb2 as pb

T = TypeVar("T")

MAX_NAME = 256
"""Characters of a name, an address or a digest."""
MAX_TEXT = 4_096
"""Characters of a plan, an objective, or words for people."""
MAX_PROFILE = 4 << 20
"""Bytes; the profile of a network with 40 kept cuts has 300 kB."""
MAX_ENTRIES = 10_000
"""Paces of one report: more than any bundle has segments and codecs."""


def device_hello_to_proto(hello: DeviceHello) -> pb.DeviceFrame:
    return pb.DeviceFrame(
        hello=pb.DeviceHello(
            name=hello.name,
            bundle=hello.bundle,
            digests=hello.digests,
            profile=hello.profile,
            objective=hello.objective,
            edge=hello.edge,
            report=_report_to_proto(hello.report),
        )
    )


def device_hello_from_proto(message: pb.DeviceHello) -> DeviceHello:
    """
    Raises:
        WireError: A field is missing, too long, or no number of its kind.
    """
    return DeviceHello(
        name=_named(message.name, "a device"),
        bundle=_short(message.bundle, "bundle"),
        digests=tuple(_short(digest, "digest") for digest in _few(message.digests, "digests")),
        profile=_profile(message.profile),
        objective=_text(message.objective, "objective"),
        edge=_short(message.edge, "edge"),
        report=device_report_from_proto(message.report),
    )


def device_report_to_proto(report: DeviceReport) -> pb.DeviceFrame:
    return pb.DeviceFrame(report=_report_to_proto(report))


def device_report_from_proto(message: pb.DeviceReport) -> DeviceReport:
    """
    Raises:
        WireError: A field is too long, or no number of its kind.
    """
    answered = message.answered
    return DeviceReport(
        link=_link_from_proto(message.link) if message.HasField("link") else None,
        rate=_number(message.rate, "rate"),
        plan=_text(message.plan, "plan"),
        revision=Revision(message.epoch, message.counter),
        edge=_short(message.edge, "edge"),
        queue=message.queue,
        answered={
            Answered.DEVICE: answered.device,
            Answered.EDGE: answered.edge,
            Answered.DEGRADED: answered.degraded,
            Answered.REJECTED: answered.rejected,
        },
        latency=Seconds(_number(message.latency, "latency")),
        wire_bytes=Bytes(message.wire_bytes),
        paces=_paces_from_proto(message.paces),
        drift=_drift_from_proto(message.drift) if message.HasField("drift") else None,
        trouble=_text(message.trouble, "trouble"),
    )


def order_to_proto(order: DeviceOrder) -> pb.DeviceOrder:
    return pb.DeviceOrder(
        plan=order.plan,
        epoch=order.revision.epoch,
        counter=order.revision.counter,
        model_digest=order.model_digest,
        bundle=order.bundle,
        edge=order.edge,
        sources=order.sources,
        predicted=order.predicted,
        predicted_p95=order.predicted_p95,
        agreement=order.agreement,
        why=order.why,
    )


def order_from_proto(message: pb.DeviceOrder) -> DeviceOrder:
    """
    Raises:
        WireError: A field is missing, too long, or no number of its kind.
    """
    return DeviceOrder(
        plan=_text(message.plan, "plan"),
        revision=Revision(message.epoch, message.counter),
        model_digest=_short(message.model_digest, "digest"),
        bundle=_short(message.bundle, "bundle"),
        edge=_short(message.edge, "edge"),
        sources=tuple(_short(source, "source") for source in _few(message.sources, "sources")),
        predicted=Seconds(_number(message.predicted, "predicted")),
        predicted_p95=Seconds(_number(message.predicted_p95, "predicted_p95")),
        agreement=_number(message.agreement, "agreement"),
        why=_text(message.why, "why"),
    )


def edge_hello_to_proto(hello: EdgeHello) -> pb.EdgeFrame:
    bundles = [
        pb.EdgeBundle(model_digest=one.model_digest, name=one.name, profile=one.profile) for one in hello.bundles
    ]
    return pb.EdgeFrame(
        hello=pb.EdgeHello(
            name=hello.name, address=hello.address, bundles=bundles, report=_edge_report_to_proto(hello.report)
        )
    )


def edge_hello_from_proto(message: pb.EdgeHello) -> EdgeHello:
    """
    Raises:
        WireError: A field is missing, too long, or no number of its kind.
    """
    return EdgeHello(
        name=_named(message.name, "an edge"),
        address=_named(message.address, "the address of an edge"),
        bundles=tuple(
            EdgeBundle(
                model_digest=_short(one.model_digest, "digest"),
                name=_short(one.name, "bundle"),
                profile=_profile(one.profile),
            )
            for one in _few(message.bundles, "bundles")
        ),
        report=edge_report_from_proto(message.report),
    )


def edge_report_to_proto(report: EdgeReport) -> pb.EdgeFrame:
    return pb.EdgeFrame(report=_edge_report_to_proto(report))


def edge_report_from_proto(message: pb.EdgeReport) -> EdgeReport:
    """
    Raises:
        WireError: A field is too long, or no number of its kind.
    """
    return EdgeReport(
        wait=Seconds(_number(message.wait, "wait")),
        busy=_number(message.busy, "busy"),
        rate=_number(message.rate, "rate"),
        queue=message.queue,
        price=_number(message.price, "price"),
        paces={_short(of.model_digest, "digest"): _paces_from_proto(of.paces) for of in _few(message.paces, "bundles")},
        stopping=message.stopping,
    )


def _report_to_proto(report: DeviceReport) -> pb.DeviceReport:
    counts = report.answered
    message = pb.DeviceReport(
        rate=report.rate,
        plan=report.plan,
        epoch=report.revision.epoch,
        counter=report.revision.counter,
        edge=report.edge,
        queue=report.queue,
        answered=pb.Answered(**{kind.value: counts.get(kind, 0) for kind in Answered}),
        latency=report.latency,
        wire_bytes=report.wire_bytes,
        paces=_paces_to_proto(report.paces),
        trouble=report.trouble,
    )
    if report.link is not None:
        message.link.CopyFrom(_link_to_proto(report.link))
    if (drift := report.drift) is not None:
        message.drift.CopyFrom(
            pb.Drift(
                agreement=drift.agreement,
                low=drift.low,
                high=drift.high,
                shadows=drift.shadows,
                caution=drift.caution,
                event=drift.event,
            )
        )
    return message


def _edge_report_to_proto(report: EdgeReport) -> pb.EdgeReport:
    return pb.EdgeReport(
        wait=report.wait,
        busy=report.busy,
        rate=report.rate,
        queue=report.queue,
        price=report.price,
        paces=[
            pb.EdgePaces(model_digest=digest, paces=_paces_to_proto(paces)) for digest, paces in report.paces.items()
        ],
        stopping=report.stopping,
    )


def _link_to_proto(link: LinkEstimate) -> pb.Link:
    return pb.Link(
        bandwidth=link.bandwidth,
        bandwidth_low=link.bandwidth_low,
        bandwidth_high=link.bandwidth_high,
        round_trip=link.round_trip,
        round_trip_deviation=link.round_trip_deviation,
        edge=link.edge,
        age=link.age,
        changes=link.changes,
    )


def _link_from_proto(message: pb.Link) -> LinkEstimate:
    return LinkEstimate(
        bandwidth=BitsPerSecond(_number(message.bandwidth, "bandwidth")),
        bandwidth_low=BitsPerSecond(_number(message.bandwidth_low, "bandwidth_low")),
        bandwidth_high=BitsPerSecond(_number(message.bandwidth_high, "bandwidth_high")),
        round_trip=Seconds(_number(message.round_trip, "round_trip")),
        round_trip_deviation=Seconds(_number(message.round_trip_deviation, "round_trip_deviation")),
        edge=Seconds(_number(message.edge, "edge")),
        age=Seconds(_number(message.age, "age")),
        changes=message.changes,
    )


def _drift_from_proto(message: pb.Drift) -> DriftReport:
    return DriftReport(
        agreement=_number(message.agreement, "agreement"),
        low=_number(message.low, "low"),
        high=_number(message.high, "high"),
        shadows=message.shadows,
        caution=message.caution,
        event=_text(message.event, "event"),
    )


def _paces_to_proto(paces: Mapping[str, float]) -> list[pb.Pace]:
    return [pb.Pace(name=name, seconds=seconds) for name, seconds in paces.items()]


def _paces_from_proto(messages: Iterable[pb.Pace]) -> dict[str, float]:
    return {_short(one.name, "pace"): _number(one.seconds, "pace") for one in _few(messages, "paces")}


def _named(text: str, what: str) -> str:
    if not text:
        raise WireError(f"{what} has to be named; the hello leaves it out")
    return _short(text, "name")


def _short(text: str, field: str) -> str:
    return _within(text, field, MAX_NAME)


def _text(text: str, field: str) -> str:
    return _within(text, field, MAX_TEXT)


def _within(text: str, field: str, most: int) -> str:
    if len(text) > most:
        raise WireError(f"{field} has {len(text)} characters; at most {most} are allowed")
    return text


def _profile(raw: bytes) -> bytes:
    if len(raw) > MAX_PROFILE:
        raise WireError(f"a profile has {len(raw)} bytes; at most {MAX_PROFILE} are allowed")
    return raw


def _few(items: Iterable[T], field: str) -> list[T]:
    found = list(items)
    if len(found) > MAX_ENTRIES:
        raise WireError(f"{len(found)} {field} are listed; at most {MAX_ENTRIES} may be")
    return found


def _number(value: float, field: str) -> float:
    """Neither negative nor without an end: what a report says flows into plans."""
    if not math.isfinite(value) or value < 0:
        raise WireError(f"{field} is {value}; it is a finite number, 0 or more")
    return value
