"""`offramp edge`: serve bundles until told to stop."""

import argparse
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from offramp.cli import DONE, FAILED, INTERRUPTED
from offramp.errors import InputError
from offramp.settings import add_flags, load
from offramp.units import format_seconds
from offramp_edge_server.settings import EdgeSettings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from offramp.bundle.store import Bundle
    from offramp_edge_server.server import EdgeServer

_ROLE = "edge"


class EdgeCommand:
    """Prints one JSON line on standard output when it is ready; everything for people goes to standard error."""

    summary = "run the later stages for devices, batched"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        add_flags(parser, EdgeSettings, _ROLE)

    def run(self, args: argparse.Namespace) -> int:
        loaded = load(EdgeSettings, _ROLE, args, os.environ)
        if args.print_settings:
            print(loaded.describe())
            return DONE
        import asyncio

        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="offramp edge: %(message)s")
        asyncio.run(_serve(loaded.value, _fetch(loaded.value)))
        return DONE


def _fetch(settings: EdgeSettings) -> "list[Bundle]":
    """What the orchestrator delivers; before the signals are ours, so that whoever waits too long may interrupt."""
    address = settings.orchestrator_address
    if not settings.fetch or address is None:
        return []
    from offramp.bundle.shelf import default_store
    from offramp_edge_server.fetching import fetch_patiently

    store, tls = settings.store or default_store(os.environ), settings.orchestrator_tls
    return [fetch_patiently(address, name, store, tls) for name in settings.fetch]


async def _serve(settings: EdgeSettings, fetched: "Sequence[Bundle]") -> None:
    # Here and not at the top: `offramp --help` imports this module too.
    import asyncio

    from offramp.bundle.shipped import find_bundle
    from offramp.bundle.store import open_bundle
    from offramp.runtime.threads import configure_threads
    from offramp.wire.memory import keep_large_buffers
    from offramp_edge_server.server import EdgeServer

    if not settings.bundle and not settings.fetch:
        raise InputError("there is no bundle to serve; give at least one with --bundle DIR")
    keep_large_buffers()
    configure_threads(settings.threads)
    if settings.runtime == "torch":
        from offramp.runtime.torch_backend import configure_torch_threads

        configure_torch_threads(settings.threads)
    server = EdgeServer([*(open_bundle(find_bundle(path)) for path in settings.bundle), *fetched], settings)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_quit, told)
    await server.start()
    _announce(server)
    await told.wait()
    print("offramp edge: stopping; what was taken is finished first", file=sys.stderr, flush=True)
    if not await server.stop():
        print(
            f"offramp edge: gave up on what was not finished within {format_seconds(settings.grace)}",
            file=sys.stderr,
            flush=True,
        )
        os._exit(FAILED)  # a thread may hang in a model call; leaving the ordinary way would wait for it
    print("offramp edge: stopped", file=sys.stderr, flush=True)


def _stop_or_quit(told: "asyncio.Event") -> None:
    if told.is_set():
        os._exit(INTERRUPTED)  # asked twice: whoever asks means it
    told.set()


def _announce(server: "EdgeServer") -> None:
    settings, address = server.settings, server.address
    names = ", ".join(f"{bundle.manifest.name} ({bundle.manifest.model_digest[:12]})" for bundle in server.bundles)
    how = "TLS, known clients only" if settings.tls_client_ca else "TLS" if settings.tls_cert else "plain text"
    print(f"offramp edge: serving {names} at {address} ({how})", file=sys.stderr)
    if server.metrics_address:
        print(f"offramp edge: metrics at {server.metrics_address}/metrics", file=sys.stderr)
    if not settings.tls_cert and not address.is_local:
        print(
            "offramp edge: other machines can reach this port and read what it carries; "
            "--tls-cert and --tls-key protect it",
            file=sys.stderr,
        )
    ready = {
        "event": "ready",
        "listen": str(address),
        "metrics": str(server.metrics_address) if server.metrics_address else None,
        "bundles": [
            {"name": bundle.manifest.name, "digest": bundle.manifest.model_digest, "path": str(bundle.path)}
            for bundle in server.bundles
        ],
    }
    print(json.dumps(ready), flush=True)


EDGE = EdgeCommand()
