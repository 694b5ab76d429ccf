"""`offramp orchestrate`: keep every device on the best plan until told to stop."""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from offramp.cli import DONE, INTERRUPTED
from offramp.errors import InputError, MissingExtraError
from offramp.settings import add_flags, load
from offramp_orchestrator.settings import OrchestratorSettings

if TYPE_CHECKING:
    import asyncio

    from offramp.bundle.store import Bundle
    from offramp.wire.address import Address
    from offramp_orchestrator.events import Event, Tell

_ROLE = "orchestrator"


class Controllers(Protocol):
    """Whoever decides: one controller in this process, or several elsewhere behind one front door."""

    @property
    def address(self) -> "Address":
        """Where devices and edges enter, once it is started."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class OrchestrateCommand:
    """Prints one JSON line on standard output when it is ready, and with --events one for each thing that happens.

    Everything for people goes to standard error.
    """

    summary = "measure, plan, push: keep devices on the best plan"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        add_flags(parser, OrchestratorSettings, _ROLE)

    def run(self, args: argparse.Namespace) -> int:
        loaded = load(OrchestratorSettings, _ROLE, args, os.environ)
        if args.print_settings:
            print(loaded.describe())
            return DONE
        import asyncio

        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="offramp orchestrate: %(message)s")
        asyncio.run(_serve(loaded.value))
        return DONE


def open_controllers(settings: OrchestratorSettings, bundles: "Sequence[Bundle]", tell: "Tell") -> Controllers:
    """On Ray where it is installed, unless settings say otherwise; else in this process.

    Raises:
        MissingExtraError: Something was asked that needs Ray, and it is not installed.
    """
    if not settings.in_process and find_spec("ray"):
        from offramp_orchestrator.actors import RayControllers

        return RayControllers(bundles, settings, tell=tell)
    if settings.asks_ray:
        raise MissingExtraError("ray", "orchestrator", "--ray-address, --controllers or --edges")
    from offramp_orchestrator.server import ControllerServer

    _wake_in_batches()
    return ControllerServer(bundles, settings, tell=tell)


async def _serve(settings: OrchestratorSettings) -> None:
    # Here and not at the top: `offramp --help` imports this module too.
    import asyncio

    from offramp.bundle.shipped import find_bundle
    from offramp.bundle.store import open_bundle

    if not settings.bundle:
        raise InputError("there is no bundle to plan for; give at least one with --bundle DIR")
    bundles = [open_bundle(find_bundle(path)) for path in settings.bundle]
    controllers = open_controllers(settings, bundles, _print_event if settings.events else _print_news)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_quit, told)
    await controllers.start()
    _announce(settings, controllers.address, bundles)
    await told.wait()
    print("offramp orchestrate: stopping; devices keep their plans", file=sys.stderr, flush=True)
    await controllers.stop()
    print("offramp orchestrate: stopped", file=sys.stderr, flush=True)


def _wake_in_batches() -> None:
    """Let the threads of this process take turns when one is done, not whenever a packet arrives.

    A report passes through three of gRPC's threads. With thousands a second, most of what they cost is one interrupting
    the other: 115 µs a report, and 85 µs so (benchmarks.control). Threads that are started later inherit it.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux; or not allowed, where systemd has done it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _stop_or_quit(told: "asyncio.Event") -> None:
    if told.is_set():
        os._exit(INTERRUPTED)  # asked twice: whoever asks means it
    told.set()


def _announce(settings: OrchestratorSettings, address: "Address", bundles: "Sequence[Bundle]") -> None:
    names = ", ".join(f"{bundle.manifest.name} ({bundle.manifest.model_digest[:12]})" for bundle in bundles)
    how = "TLS, known callers only" if settings.tls_client_ca else "TLS" if settings.tls_cert else "plain text"
    wanted = f"{settings.strategy} for {settings.wanted}"
    print(f"offramp orchestrate: planning {names} by {wanted} at {address} ({how})", file=sys.stderr)
    if not settings.tls_cert and not address.is_local:
        print(
            "offramp orchestrate: other machines can reach this port, read what it carries and order plans' changes; "
            "--tls-cert and --tls-key protect it",
            file=sys.stderr,
        )
    ready = {
        "event": "ready",
        "listen": str(address),
        "strategy": settings.strategy,
        "objective": str(settings.wanted),
        "bundles": [
            {"name": bundle.manifest.name, "digest": bundle.manifest.model_digest, "path": str(bundle.path)}
            for bundle in bundles
        ],
    }
    print(json.dumps(ready), flush=True)


def _print_event(event: "Event") -> None:
    print(event.line, flush=True)


def _print_news(event: "Event") -> None:
    from offramp_orchestrator.events import NEWS

    if event.kind in NEWS:
        print(f"offramp orchestrate: {event}", file=sys.stderr, flush=True)


ORCHESTRATE = OrchestrateCommand()
