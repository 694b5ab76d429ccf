"""The running device: threads, signals, and what is told to people while it works.

source ─► feeder ─► intake ─► worker ─► writer ─► JSON lines
local programs ──────┘           └────► local programs
                     control: an orchestrator's orders, or its own choice
"""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import Bundle, open_bundle
from offramp.cli import DONE, INTERRUPTED
from offramp.errors import InputError, OfframpError, SettingsError
from offramp.records import Result
from offramp.units import Seconds
from offramp_device.device import ALONE, Device
from offramp_device.edges import Edges
from offramp_device.feeder import Feeder
from offramp_device.intake import Intake
from offramp_device.memory import release_free_memory, settle_objects
from offramp_device.progress import Progress
from offramp_device.report import summary_text
from offramp_device.settings import DeviceSettings
from offramp_device.sources import Source, open_source
from offramp_device.steering import Steering
from offramp_device.uplink import LostUplink, Uplink
from offramp_device.worker import Worker
from offramp_device.writer import ResultWriter

if TYPE_CHECKING:  # gRPC takes 20 MB and 0.1 s, which a device that talks to nobody does not need
    from offramp.telemetry import DeviceOrder
    from offramp.wire.address import Address
    from offramp_device.control import Control
    from offramp_device.local import LocalService
    from offramp_device.session import EdgeSession

LOOK = Seconds(0.1)
"""How often the main thread looks around: for progress, for the end, for a reader who left."""


TakeControl = Callable[[Device, Intake, ResultWriter], "Control"]

SETTLED = 10
"""Looks after which everything that is done once has been done: connections, the first samples of a source."""


class Daemon:
    """Runs once. Ctrl-C and SIGTERM stop it: what is under way gets its Result; a second one ends it at once."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._signal: int | None = None
        self._progress = Progress(sys.stderr)
        self._edges = Edges(self._connect)
        self._control: Control | None = None

    def run(self) -> int:
        """Until the source ends or a signal comes; returns the exit code.

        Raises:
            OfframpError: Something could not be started, or the source gave nothing or failed in the middle.
        """
        settings = self._settings
        if settings.bundle is None and settings.orchestrator is None:
            raise InputError(
                "there is no bundle to run; give one with --bundle DIR, or --orchestrator HOST:PORT, which names one"
            )
        if settings.source is None and settings.local_address is None:
            raise InputError("there are no samples; give --source, such as a folder of pictures or camera-digits")
        with contextlib.ExitStack() as opened:
            opened.enter_context(self._signals())
            uplink = self._open_uplink(settings.edge)  # first, so that it connects while the bundle is read
            opened.callback(uplink.close)
            steering = settings.steering if settings.is_steered else None
            found = self._find_bundle(steering)
            if found is None:  # it was stopped while it waited for one
                return self._code
            bundle, order = found
            if order is not None and settings.edge is None:
                uplink = self._open_uplink(order.edge or None)
                opened.callback(uplink.close)
            source = None
            if settings.source is not None and not settings.listens:
                source = open_source(settings.source, bundle.manifest)
            out = opened.enter_context(_open_out(settings))
            control = None if steering is None else self._prepare(bundle, steering)
            device = opened.enter_context(
                Device.open(
                    bundle,
                    edge=uplink,
                    plan=order.plan if order else self._first_plan(bundle),
                    deadline=settings.deadline,
                    threads=settings.threads,
                    slowdown=settings.slowdown,
                    keep_logits=settings.logits,
                )
            )
            writer = ResultWriter(out, bundle.manifest.labels, logits=settings.logits)
            with writer:
                feeder = self._work(device, source, writer, out, control)
            self._conclude(writer, device, out)
        if feeder is not None and feeder.failure is not None:
            raise feeder.failure
        if writer.failure is not None:
            raise _unwritten(writer.failure)
        return self._code

    @property
    def _code(self) -> int:
        return INTERRUPTED if self._signal == signal.SIGINT else DONE

    def _work(
        self,
        device: Device,
        source: Source | None,
        writer: ResultWriter,
        out: IO[str],
        take_control: "TakeControl | None",
    ) -> Feeder | None:
        settings, clock = self._settings, device.clock
        intake = Intake(settings.queue, settings.in_flight)
        local: LocalService | None = None
        control = None if take_control is None else take_control(device, intake, writer)

        def emit(result: Result) -> None:
            writer.put(result)
            if control is not None:
                control.note(result)
            if local is not None:
                local.settle(result)

        if control is None:
            worker = Worker(device.pipeline, intake, clock, emit)
        else:
            worker = Worker(device.pipeline, intake, clock, emit, control.telemetry.arrived)
        working = threading.Thread(target=worker.run, name="offramp-stages")
        feeder = feeding = None
        with contextlib.ExitStack() as opened:
            local = self._open_local(device, worker)
            if local is not None:
                opened.enter_context(local)
            self._announce(device, local, out)
            settle_objects()
            release_free_memory()
            working.start()
            if control is not None:
                self._control = opened.enter_context(control)
            if source is not None:
                feeder = Feeder(
                    source,
                    worker,
                    intake,
                    clock,
                    stream=settings.stream,
                    rate=settings.rate,
                    limit=settings.limit,
                    cue=_await_cue if settings.cue else None,
                )
                # A daemon: a source that blocks (a terminal, a camera) must not keep the process from ending.
                feeding = threading.Thread(target=feeder.run, name="offramp-source", daemon=True)
                feeding.start()
            looks = 0
            while not self._stop.wait(LOOK) and writer.failure is None:
                looks += 1
                if looks == SETTLED:
                    release_free_memory()
                if feeding is not None and not feeding.is_alive():
                    break
                self._progress.show(writer.summary, self._edges.estimate())
            if feeder is not None:
                feeder.stop()
            if self._stop.is_set():
                worker.stop()
            else:
                intake.finish()
            working.join()
        self._progress.clear()
        return feeder

    def _open_uplink(self, edge: str | None) -> Uplink:
        if edge is None:
            return LostUplink()
        session = self._edges.open(edge)
        self._edges.use(session)
        return session

    def _connect(self, address: "Address") -> "EdgeSession":
        from offramp_device.session import EdgeSession

        settings = self._settings
        return EdgeSession(
            address, tls=settings.tls, max_unanswered=settings.unanswered, tell=self._progress.tell, news=self._stir
        ).open()

    def _stir(self) -> None:
        if self._control is not None:
            self._control.stir()

    def _find_bundle(self, steering: Steering | None) -> "tuple[Bundle, DeviceOrder | None] | None":
        """The one that was given, or the one that the orchestrator names; None when it is to stop before."""
        if self._settings.bundle is not None:
            return open_bundle(find_bundle(self._settings.bundle)), None
        from offramp_device.joining import await_bundle

        assert steering is not None  # an orchestrator is given, see `run`
        return await_bundle(steering, self._progress.tell, self._stop)

    def _prepare(self, bundle: Bundle, steering: Steering) -> "TakeControl":
        """What takes a moment, before anything is served: the times of the network on this board."""
        from offramp.clock import SystemClock
        from offramp.runtime.threads import configure_threads
        from offramp_device.control import Control
        from offramp_device.timing import find_profile

        configure_threads(self._settings.threads)
        candidates, profile = find_profile(bundle, steering, SystemClock(), self._progress.tell)
        if candidates is None and steering.orchestrator is None:
            raise InputError(f"{bundle.manifest.name} ships no candidates to choose from; give a plan")

        def take_control(device: Device, intake: Intake, writer: ResultWriter) -> Control:
            return Control(
                device,
                self._edges,
                steering,
                bundle,
                candidates,
                profile,
                intake=intake,
                tell=self._progress.tell,
                event=self._events(writer),
            )

        return take_control

    def _events(self, writer: ResultWriter) -> Callable[[Mapping[str, Any]], None]:
        settings = self._settings

        def event(one: Mapping[str, Any]) -> None:
            if settings.json and (settings.telemetry or one["event"] != "telemetry"):
                writer.tell(one)

        return event

    def _first_plan(self, bundle: Bundle) -> str | None:
        settings = self._settings
        if settings.plan is not None and not settings.is_auto:
            return settings.plan
        # Without an edge the whole network is run: its answers are not degraded ones.
        if settings.edge is not None:
            return None
        return ALONE if bundle.manifest.branches else "split=end"

    def _open_local(self, device: Device, worker: Worker) -> "LocalService | None":
        address = self._settings.local_address
        if address is None:
            return None
        from offramp_device.local import LocalService

        return LocalService(address, device, worker.arrive, taken=self._settings.stream)

    def _announce(self, device: Device, local: "LocalService | None", out: IO[str]) -> None:
        settings, tell = self._settings, self._progress.tell
        tell(f"{device.manifest.name}: {device.plan}")
        if settings.edge is None and settings.orchestrator is None and device.plan.split < device.manifest.end:
            tell("no edge is given: what no branch is sure about gets a degraded answer; --edge HOST:PORT changes that")
        if settings.slowdown != 1:
            counted = "time it computed" if settings.threads == 1 else "wall time (computing time is known of 1 thread)"
            tell(
                f"emulating a board {settings.slowdown:g} times slower than this machine: a pause follows every stage, "
                f"by the {counted}"
            )
        if local is not None:
            tell(f"local programs may submit samples and plans at {local.address}")
        if settings.json:
            event = {
                "event": "ready",
                "bundle": device.manifest.model_digest,
                "plan": str(device.plan),
                "edge": self._edges.in_use or None,
                "orchestrator": settings.orchestrator,
                "local": None if local is None else str(local.address),
                "emulated_slowdown": settings.slowdown,
            }
            _print(event, out)

    def _conclude(self, writer: ResultWriter, device: Device, out: IO[str]) -> None:
        record = writer.summary.record(late=self._edges.late, connections=self._edges.connections)
        record["emulated_slowdown"] = self._settings.slowdown
        if self._settings.json and writer.failure is None:
            _print({"summary": record}, out)
        if record["samples"]:
            self._progress.write(summary_text(record, [cut.name for cut in device.manifest.cuts]))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def told(number: int, _frame: Any) -> None:
            if self._signal is not None:
                os._exit(INTERRUPTED)  # asked twice: whoever asks means it
            self._signal = number
            self._stop.set()

        before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _open_out(settings: DeviceSettings) -> Iterator[IO[str]]:
    if settings.out is None:
        yield sys.stdout
        return
    try:
        out = settings.out.open("w", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--out {settings.out} cannot be written: {error.strerror or error}") from error
    try:
        yield out
    finally:
        with contextlib.suppress(OSError):  # the writer has flushed, and told what could not be written
            out.close()


def _print(event: Mapping[str, Any], out: IO[str]) -> None:
    try:
        print(json.dumps(event), file=out, flush=True)
    except OSError as error:
        raise _unwritten(error) from error


def _await_cue() -> Seconds:
    line = sys.stdin.readline()
    try:
        return Seconds(float(line))
    except ValueError:
        raise InputError(
            f"{line.strip()[:40]!r} on standard input is no moment to begin at; write seconds of the monotonic clock"
        ) from None


def _unwritten(error: OSError) -> Exception:
    """A reader who left needs no message, see `offramp.cli`; a full disk does."""
    if isinstance(error, BrokenPipeError):
        return error
    return OfframpError(f"the results cannot be written: {error.strerror or error}")
