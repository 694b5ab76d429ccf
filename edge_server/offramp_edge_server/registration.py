"""An edge's place in a fleet: it joins, tells how busy it is, and says when it stops.

    bundles ── profile ──► hello ─┐
    runner ──► Load ──► report ───┴─► ControlLink ──► every controller

An orchestrator that is away changes nothing here: the edge serves on, and joins again by itself.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.errors import BundleError
from offramp.runtime.runtime import Runtime
from offramp.telemetry import EdgeBundle, EdgeHello, EdgeReport
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp.wire.calling import EDGE, PERIOD, ControlLink
from offramp.wire.tls import ClientTls
from offramp_edge_server.load import Load
from offramp_edge_server.profiling import measure_tails, profile_bytes

log = logging.getLogger(__name__)

LAST_WORD = Seconds(0.5)
"""How long stopping waits for controllers to read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What an edge says about itself."""

    orchestrator: Address
    name: str
    address: str
    """Where devices find it."""
    tls: ClientTls | None


class Registration:
    """Opened when the edge serves, closed when it has finished; on its event loop."""

    def __init__(
        self,
        who: Introduction,
        bundles: Sequence[Bundle],
        load: Load,
        *,
        profiles: Mapping[str, bytes],
        measure: Callable[[Bundle, Clock], bytes],
        clock: Clock,
    ) -> None:
        """`profiles`, by model digest, are those that were given; `measure` is called in a thread for the others."""
        self._who = who
        self._bundles = bundles
        self._load = load
        self._profiles = dict(profiles)
        self._measure = measure
        self._clock = _StoppableClock(clock)
        self._stopping = False
        self._joining: asyncio.Task[None] | None = None
        self._link = ControlLink(
            EDGE,
            who.orchestrator,
            who.name,
            hello=self._hello,
            report=self._report,
            order=self._welcomed,
            tls=who.tls,
            period=Seconds(5 * PERIOD),  # beats nudge it
            meanwhile="serving on",
            tell=log.info,
        )

    async def open(self) -> None:
        """Begin to join; returns at once.

        Raises:
            InputError: A TLS file is not what it should be.
        """
        if self._who.tls is not None:
            self._who.tls.credentials()
        self._joining = asyncio.create_task(self._join())

    def beat(self) -> None:
        """There is a new report."""
        self._link.nudge()

    def stop(self) -> None:
        """Say that the edge is stopping, so that devices go elsewhere."""
        self._stopping = True
        self._link.nudge()

    async def close(self) -> None:
        """Leave."""
        self._clock.stop()
        joining, self._joining = self._joining, None
        if joining is not None:
            joining.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await joining
        await self._link.leave(LAST_WORD)

    async def _join(self) -> None:
        # Before the hello and not after it: a hello is said once for each connection, and holds the profiles.
        for bundle in self._bundles:
            digest = bundle.manifest.model_digest
            if digest not in self._profiles:
                self._profiles[digest] = await asyncio.to_thread(self._measure, bundle, self._clock)
        await self._link.open()

    def _hello(self) -> EdgeHello:
        bundles = tuple(
            EdgeBundle(
                model_digest=bundle.manifest.model_digest,
                name=bundle.manifest.name,
                profile=self._profiles.get(bundle.manifest.model_digest, b""),
            )
            for bundle in self._bundles
        )
        report = replace(self._load.report, paces=self._load.paces(), stopping=self._stopping)
        return EdgeHello(name=self._who.name, address=self._who.address, bundles=bundles, report=report)

    def _report(self) -> EdgeReport:
        return replace(self._load.report, paces=self._load.news(), stopping=self._stopping)

    def _welcomed(self, epoch: int) -> None:
        log.debug("a controller of epoch %d says welcome", epoch)


class _StoppableClock:
    """A clock whose sleepers wake up, with an error, when it is stopped: nobody waits for a profile without a use."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self._stopped = threading.Event()

    def sleep(self, duration: Seconds) -> None:
        if self._stopped.wait(duration):
            raise InterruptedError("the edge is stopping")

    def stop(self) -> None:
        self._stopped.set()


def measured(open_runtime: Callable[[Bundle], Runtime], threads: int, bundle: Bundle, clock: Clock) -> bytes:
    """A profile as a hello carries it, taken on a runtime of its own; empty where none can be taken."""
    runtime = open_runtime(bundle)
    try:
        return profile_bytes(measure_tails(bundle, runtime, clock, threads=threads))
    except BundleError as error:
        log.warning("%s is not profiled: %s", bundle.manifest.name, error)
        return b""
    finally:
        runtime.close()
