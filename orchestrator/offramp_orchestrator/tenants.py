"""What a worker on a node of a cluster does: it serves one controller, or keeps one `offramp edge` running.

ControllerTenant ── serve ──► a port of its own, which devices and edges talk to directly
EdgeTenant ── a thread ──► `offramp edge`, tethered ── ended ──► a pause ──► again

Nothing here knows Ray: `actors` makes actors of them. Made again elsewhere, they know nothing of before.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from offramp.bundle.parcel import Files, unpack
from offramp.clock import Clock, SystemClock
from offramp.errors import InputError, OfframpError
from offramp.units import Seconds, format_seconds
from offramp_orchestrator.events import Event
from offramp_orchestrator.placing import Reach, Relaunch
from offramp_orchestrator.server import ControllerServer
from offramp_orchestrator.settings import OrchestratorSettings
from offramp_orchestrator.tether import tethered

KEPT_LINES = 10
"""Last lines of an edge's standard error that are shown when it ends."""
KEPT_EVENTS = 1_000
"""Until somebody asks for them; the oldest leave."""
GRACE = Seconds(8.0)
"""An edge that is told to stop finishes what it took, within 5 s by default; one that does not is killed."""

Fetch = Callable[[Sequence[Any]], Awaitable[list[Files]]]
"""References to parcels, of whatever kind, to the parcels."""


class ControllerTenant:
    """Serves one controller from the event loop on which `serve` is called."""

    def __init__(self, settings: OrchestratorSettings, reach: Reach, fetch: Fetch) -> None:
        self._settings = replace(settings, listen=str(reach.listen))
        self._reach = reach
        self._fetch = fetch
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._opening = asyncio.Lock()
        self._server: ControllerServer | None = None

    async def serve(self, parcels: Sequence[Any]) -> tuple[str, list[Event]]:
        """Where it is found, and what happened since the call before; the first call opens its port.

        Raises:
            InputError: The port is in use on this node, or a TLS file is not there.
            BundleError: A bundle came damaged.
        """
        async with self._opening:
            if self._server is None:
                bundles = await asyncio.to_thread(unpack, await self._fetch(parcels), bundles_folder())
                server = ControllerServer(bundles, self._settings, tell=self._events.append)
                await server.start()
                self._server = server
        happened = list(self._events)
        self._events.clear()
        return self._reach.found_at(self._server.address.port), happened

    async def stop(self) -> None:
        """Tell everybody to come back later."""
        if self._server is not None:
            await self._server.stop()


class EdgeTenant:
    """Keeps an edge running until it is stopped; begins when it is made. Its bundles come from the orchestrator."""

    def __init__(
        self,
        name: str,
        orchestrator: str,
        digests: Sequence[str],
        threads: int,
        reach: Reach,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._digests = digests
        self._arguments = [
            *("--orchestrator", orchestrator),
            *("--name", name),
            *("--listen", str(reach.listen)),
            *("--advertise", reach.host),
            *("--threads", str(threads)),
        ]
        self._clock = clock or SystemClock()
        self._trouble = ""
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        # The process is tethered to this thread, which therefore lives as long as the worker.
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    def trouble(self) -> str:
        """How its last process ended; empty if none did."""
        return self._trouble

    def stop(self) -> None:
        """End it in good order."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            process.kill()
        self._thread.join(GRACE)

    def _keep(self) -> None:
        relaunch = Relaunch()
        while not self._stopping.is_set():
            started = self._clock.now()
            try:
                how = self._live()
            except (OSError, OfframpError) as error:  # no room for one more process, say
                how = f"could not be started: {error}"
            pause = relaunch.pause(Seconds(self._clock.now() - started))
            self._trouble = f"{how}; launched again in {format_seconds(pause)}"
            self._stopping.wait(pause)

    def _live(self) -> str:
        """One life of the process; returns how it ended."""
        store = ["--store", str(bundles_folder() / self._name)]
        wanted = [word for digest in self._digests for word in ("--fetch", digest)]
        last: deque[str] = deque(maxlen=KEPT_LINES)
        with subprocess.Popen(
            tethered([sys.executable, "-m", "offramp.cli", "edge", *self._arguments, *store, *wanted]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            self._process = process
            if self._stopping.is_set():
                process.terminate()
            assert process.stderr is not None
            for line in process.stderr:
                last.append(line.rstrip())
                print(f"{self._name}: {line}", end="", file=sys.stderr, flush=True)
        said = f", its last words: {' / '.join(last)}" if last else ""
        return f"exit code {process.returncode}{said}"


def bundles_folder() -> Path:
    """Where bundles that came from elsewhere lie on this node.

    Raises:
        InputError: Somebody else has made it.
    """
    folder = Path(tempfile.gettempdir(), f"offramp-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise InputError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to another folder")
    return folder
