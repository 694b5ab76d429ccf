"""A device that has no bundle yet: it says hello, waits to be told what to run, and fetches that.

hello ─► orchestrator ─► order ─► bundle, from whoever delivers it ─► (bundle, order)
"""

import queue
import threading
from collections.abc import Callable

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.errors import OfframpError
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.calling import DEVICE, ControlLink
from offramp.wire.tls import ClientTls
from offramp_device.loop import LoopThread
from offramp_device.steering import Steering
from offramp_device.stock import Stock

LOOK = Seconds(0.1)
"""How often to look whether it is to stop."""
AGAIN = Seconds(2.0)
"""Before a fetch that failed is tried again."""


def await_bundle(
    steering: Steering, tell: Callable[[str], None], stop: threading.Event
) -> tuple[Bundle, DeviceOrder] | None:
    """As `join`, for a device with these settings."""
    assert steering.orchestrator is not None
    stock = Stock(steering.store, SystemClock(), tls=steering.tls, tell=tell, stopped=stop.is_set)
    hello = DeviceHello(name=steering.name, digests=stock.digests, objective=steering.objective, edge=steering.own_edge)
    return join(steering.orchestrator, hello, stock, tls=steering.tls, tell=tell, wait=stop.wait)


def join(
    orchestrator: Address,
    hello: DeviceHello,
    stock: Stock,
    *,
    tls: ClientTls | None,
    tell: Callable[[str], None],
    wait: Callable[[Seconds], bool],
) -> tuple[Bundle, DeviceOrder] | None:
    """Wait for an order and get its bundle; None when it is to stop before.

    Args:
        orchestrator: Whom to ask.
        hello: What is said to it.
        stock: Where the bundle comes from, and is kept.
        tls: Of the orchestrator.
        tell: Takes news for people.
        wait: Waits so long, and says whether the device is to stop.

    Raises:
        InputError: A TLS file is not what it should be.
    """
    orders: queue.SimpleQueue[DeviceOrder] = queue.SimpleQueue()
    tell(f"there is no bundle yet; waiting for the orchestrator at {orchestrator} to say which one to run")

    async def call() -> ControlLink[DeviceHello, DeviceReport, DeviceOrder]:
        link: ControlLink[DeviceHello, DeviceReport, DeviceOrder] = ControlLink(
            DEVICE,
            orchestrator,
            hello.name,
            hello=lambda: hello,
            report=lambda: hello.report,
            order=orders.put,
            tls=tls,
            meanwhile="waiting",
            tell=tell,
        )
        await link.open()
        return link

    with LoopThread() as sockets:
        link = sockets.spawn(call()).result()
        try:
            return _first(orders, stock, orchestrator, tell, wait)
        finally:
            sockets.spawn(link.close()).result()


def _first(
    orders: "queue.SimpleQueue[DeviceOrder]",
    stock: Stock,
    orchestrator: Address,
    tell: Callable[[str], None],
    wait: Callable[[Seconds], bool],
) -> tuple[Bundle, DeviceOrder] | None:
    """The first order whose bundle can be had."""
    order: DeviceOrder | None = None
    while True:
        while not orders.empty():
            order = orders.get()
        if order is None:
            if wait(LOOK):
                return None
            continue
        try:
            return stock.obtain(order.model_digest, order.bundle, (*order.sources, str(orchestrator))), order
        except OfframpError as error:
            if wait(Seconds(0.0)):
                return None
            tell(f"{error}; trying again")
        if wait(AGAIN):
            return None
