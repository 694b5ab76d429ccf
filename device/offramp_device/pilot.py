"""The pilot: follows orders, off the samples' way and the newest first.

order ─► bundle there? fetch, open ─► plan opened, here and at the ordered edge ─► swapped in ─► acknowledged
             └───────────── whatever fails: the plan before stays in force, and `trouble` says why
"""

import logging
import threading
from collections.abc import Callable

from offramp.bundle.manifest import Manifest
from offramp.errors import BundleError, OfframpError, PlanError
from offramp.plan import Plan
from offramp.records import NO_REVISION
from offramp.telemetry import DeviceOrder
from offramp_device.device import Device
from offramp_device.edges import Edges
from offramp_device.engine import Engine
from offramp_device.uplink import LostUplink, Uplink

log = logging.getLogger(__name__)

OpenEngine = Callable[[DeviceOrder], Engine]
"""The bundle that an order is meant for, fetched if need be, and opened."""
Followed = Callable[[DeviceOrder, Plan], None]
"""Hears that an order is in force."""


class Pilot:
    """`order` from any thread; `run` is a thread's whole work, `follow` one turn of it."""

    def __init__(
        self,
        device: Device,
        edges: Edges,
        open_engine: OpenEngine,
        *,
        followed: Followed = lambda _order, _plan: None,
        failed: Callable[[], None] = lambda: None,
        own_edge: bool = False,
    ) -> None:
        """
        Args:
            device: Whom to steer.
            edges: Of the device.
            open_engine: Gets another bundle.
            followed: Hears of each order that is in force.
            failed: Called when there is new trouble.
            own_edge: The device was given its edge, and leaves it for no order.
        """
        self.trouble = ""
        """Why the last order was not followed; empty: it was."""
        self._device, self._edges, self._open_engine = device, edges, open_engine
        self._followed, self._failed = followed, failed
        self._own_edge = own_edge
        self._changed = threading.Condition()
        self._newest: DeviceOrder | None = None
        self._stopped = False

    def order(self, order: DeviceOrder) -> None:
        """Follow it soon; one that has not been begun yet is forgotten for it."""
        with self._changed:
            self._newest = order
            self._changed.notify_all()

    def run(self) -> None:
        """Until `stop`."""
        while (order := self._take()) is not None:
            self.follow(order)

    def stop(self) -> None:
        """Begin no other order."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def follow(self, order: DeviceOrder) -> None:
        """Do what it says, or say why not."""
        if order.revision == self._device.plan.revision != NO_REVISION:
            return  # said again, because our report of it was late
        try:
            plan = self._adopt(order)
        except OfframpError as error:
            self._trouble(str(error))
        except Exception as error:  # an order must not end the pilot
            log.exception("an order failed")
            self._trouble(f"it failed: {type(error).__name__}: {error}")
        else:
            self.trouble = ""
            self._followed(order, plan)

    def _take(self) -> DeviceOrder | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._newest is not None)
            order, self._newest = self._newest, None
            return None if self._stopped else order

    def _adopt(self, order: DeviceOrder) -> Plan:
        device, in_use = self._device, self._device.plan
        # Before anything is fetched or opened for it.
        if order.revision < in_use.revision:
            raise PlanError(f"plan {order.revision} is older than {in_use.revision}, which is in use; send a newer one")
        engine = session = None
        try:
            if order.model_digest and order.model_digest != device.manifest.model_digest:
                engine = self._open_engine(order)
                check_same_task(engine.manifest, device.manifest)
            uplink: Uplink | None = None
            if not self._own_edge and order.edge != self._edges.in_use:
                session = self._edges.open(order.edge) if order.edge else None
                uplink = session or LostUplink()
            plan = device.adopt(order.plan, order.revision, uplink=uplink, engine=engine)
        except BaseException:
            if session is not None:
                session.close()
            if engine is not None:
                engine.close()
            raise
        if uplink is not None:
            self._edges.use(session)
        return plan

    def _trouble(self, reason: str) -> None:
        if reason != self.trouble:
            self.trouble = reason
            self._failed()


def check_same_task(other: Manifest, running: Manifest) -> None:
    """Samples are on their way, and whoever reads the results knows what labels mean: neither may change under them.

    Raises:
        BundleError: They would.
    """
    if other.sample != running.sample:
        new, old = (f"{spec.kind} {spec.dtype} {list(spec.shape)}" for spec in (other.sample, running.sample))
        raise BundleError(
            f"{other.name!r} takes {new}, the device is running on {old}; start it again to change its samples"
        )
    if other.labels != running.labels:
        raise BundleError(
            f"{other.name!r} has other labels than {running.name!r}; start the device again to change them"
        )
