"""A steered device inside your own program: `Device.open` with an orchestrator, or with `plan="auto"`."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from offramp.bundle.shelf import default_store
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import SystemClock
from offramp.errors import InputError
from offramp.measure.drift import SHADOWED
from offramp.planning.strategies.catalog import DEFAULT
from offramp.runtime.threads import configure_threads
from offramp.units import Bytes, Seconds
from offramp.wire.address import Address, parse_address
from offramp_device.control import Control
from offramp_device.device import ALONE, Device
from offramp_device.edges import Edges
from offramp_device.session import EdgeSession
from offramp_device.steering import AUTO, Steering
from offramp_device.timing import find_profile
from offramp_device.uplink import LostUplink, Uplink


def open_steered(
    bundle: str | Path | Bundle,
    *,
    edge: str | Uplink | None,
    plan: str | None,
    orchestrator: str | None,
    name: str,
    objective: str,
    store: str | Path | None,
    deadline: Seconds,
    threads: int | None,
    slowdown: float,
    keep_logits: bool,
    max_unanswered: Bytes,
    tell: Callable[[str], None],
) -> Device:
    """See `Device.open`.

    Raises:
        OfframpError: As there; and when there is nothing to choose from, or the board cannot be timed.
    """
    if edge is not None and not isinstance(edge, str):
        raise InputError(
            "a device that is steered opens its sessions itself; give the edge as HOST:PORT, or leave it out"
        )
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    clock, controls = SystemClock(), list[Control]()

    def connect(address: Address) -> EdgeSession:
        return EdgeSession(address, max_unanswered=max_unanswered, tell=tell, news=stir).open()

    def stir() -> None:
        for control in controls:
            control.stir()

    if threads is not None:
        configure_threads(threads)
    edges = Edges(connect)
    steering = Steering(
        orchestrator=None if orchestrator is None else parse_address(orchestrator),
        name=name or socket.gethostname(),
        objective=objective,
        strategy=DEFAULT,
        store=default_store(os.environ) if store is None else Path(store),
        shadow=SHADOWED,
        chooses=plan in (None, AUTO),
        waits=plan != AUTO,
        own_edge=edge or "",
        threads=threads,
        slowdown=slowdown,
    )
    candidates, profile = find_profile(opened, steering, clock, tell)
    if candidates is None and orchestrator is None:
        raise InputError(f"{opened.manifest.name} ships no candidates to choose from; give a plan")
    uplink: Uplink = LostUplink()
    if edge is not None:
        session = edges.open(edge)
        edges.use(session)
        uplink = session
    first = None if plan == AUTO else plan
    if first is None and edge is None:
        first = ALONE if opened.manifest.branches else "split=end"
    device = Device.open(
        opened, edge=uplink, plan=first, deadline=deadline, threads=threads, slowdown=slowdown, keep_logits=keep_logits
    )
    control = Control(device, edges, steering, opened, candidates, profile, tell=tell)
    controls.append(control)
    device.steer_by(control)
    return device
