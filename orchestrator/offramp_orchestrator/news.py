"""What a controller tells: one function for each kind of event. docs/orchestrator.md has the table."""

from offramp.planning.forecast import Forecast
from offramp.records import Answered
from offramp.telemetry import DeviceOrder, DeviceReport
from offramp_orchestrator.charge import Charge
from offramp_orchestrator.events import TELEMETRY, Event
from offramp_orchestrator.fleet import Device, Edge


def device_joined(device: Device) -> Event:
    return Event(
        "device joined",
        {
            "device": device.name,
            "bundle": device.shelf.name,
            "objective": str(device.objective),
            "edge": device.own_edge or device.report.edge,
            "plan": device.report.plan,
            "revision": str(device.report.revision),
            "profiled": device.host is not None,
        },
    )


def device_left(device: Device, why: str) -> Event:
    return Event("device left", {"device": device.name, "why": why})


def ordered(device: Device, order: DeviceOrder) -> Event:
    return Event(
        "order",
        {
            "device": device.name,
            "plan": order.plan,
            "revision": str(order.revision),
            "edge": order.edge,
            "bundle": order.bundle,
            "why": order.why,
            "predicted": order.predicted,
            "predicted_p95": order.predicted_p95,
            "rate": device.report.rate,
            **_link(device.report),
        },
    )


def acknowledged(device: Device, order: DeviceOrder) -> Event:
    return Event("acknowledged", {"device": device.name, "plan": order.plan, "revision": str(order.revision)})


def trouble(device: Device, order: DeviceOrder | None, what: str) -> Event:
    return Event("trouble", {"device": device.name, "plan": order.plan if order else "", "what": what})


def undecided(device: Device, why: str) -> Event:
    return Event("undecided", {"device": device.name, "why": why})


def drift(device: Device) -> Event:
    found = device.report.drift
    assert found is not None, "told only where there is something to tell"
    return Event(
        "drift",
        {
            "device": device.name,
            "what": found.event,
            "agreement": found.agreement,
            "low": found.low,
            "high": found.high,
            "shadows": found.shadows,
            "caution": found.caution,
        },
    )


def telemetry(charge: Charge, report: DeviceReport, expected: Forecast | None) -> Event:
    """What a table of the running fleet shows, once a second for each device.

    `expected` of the plan in force, by what this report says.
    """
    return Event(
        TELEMETRY,
        {
            "device": charge.device.name,
            "plan": report.plan,
            "revision": str(report.revision),
            "edge": report.edge,
            "rate": report.rate,
            "queue": report.queue,
            "predicted": expected.mean if expected else None,
            "latency": report.latency if any(report.answered.get(kind) for kind in _ANSWERS) else None,
            "answered": {kind.value: report.answered.get(kind, 0) for kind in Answered},
            "wire_bytes": report.wire_bytes,
            "agreement": report.drift.agreement if report.drift else None,
            "caution": report.drift.caution if report.drift else 0,
            **_link(report),
        },
    )


def edge_joined(edge: Edge, bundles: int) -> Event:
    """`bundles`: how many of those that it serves are planned for here."""
    return Event("edge joined", {"edge": edge.name, "address": edge.address, "bundles": bundles})


def edge_left(edge: Edge, why: str) -> Event:
    return Event("edge left", {"edge": edge.name, "address": edge.address, "why": why})


def moved(device: Device, before: str, after: str, why: str) -> Event:
    """Names of edges; empty: none."""
    return Event("moved", {"device": device.name, "from": before, "to": after, "why": why})


_ANSWERS = (Answered.DEVICE, Answered.EDGE, Answered.DEGRADED)


def _link(report: DeviceReport) -> dict[str, object]:
    link = report.link
    return {
        "bandwidth": link.bandwidth if link else None,
        "bandwidth_low": link.bandwidth_low if link else None,
        "bandwidth_high": link.bandwidth_high if link else None,
        "round_trip": link.round_trip if link else None,
    }
