"""`offramp edge` as a process in a fleet: it joins, reports, leaves, and fetches what it lacks, however it ends."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.telemetry import EdgeHello, EdgeReport
from offramp.wire.delivery import CHUNK, PARTIAL, Context
from offramp.wire.v1 import control_pb2 as pb
from tests.support.controllers import PATIENCE, a_controller
from tests.support.deliveries import RememberingDelivery

pytestmark = pytest.mark.system

LARGE = "large.bin"


@pytest.fixture
def large(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """The tiny bundle with an attachment of several chunks."""
    root = shutil.copytree(tiny_bundle.path, tmp_path / "large")
    (root / LARGE).write_bytes(os.urandom(5 * CHUNK + 17))
    return Bundle(root, write_manifest(root, tiny_bundle.manifest))


class StallingDelivery(RememberingDelivery):
    """Sends two chunks of the large file, and then nothing, the first time that it is asked for it."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.stalls = asyncio.Event()

    async def fetch(self, raw: bytes, context: Context) -> None:
        request = pb.FetchRequest.FromString(raw)
        if request.file != LARGE or self.stalls.is_set():
            await super().fetch(raw, context)
            return
        self.fetches.append(request)
        content = (next(iter(self._bundles.values())).path / LARGE).read_bytes()
        for start in (0, CHUNK):
            await context.write(pb.Chunk(data=content[start : start + CHUNK]).SerializeToString())
        self.stalls.set()
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def edge(*arguments: str) -> AsyncIterator[Process]:
    command = ("-m", "offramp.cli", "edge", "--listen", "127.0.0.1:0", *arguments)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ready(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    found: dict[str, Any] = json.loads(line)
    return found


async def test_it_joins_reports_and_leaves_when_it_is_stopped(tiny_bundle: Bundle) -> None:
    async with a_controller() as orchestrator:
        fleet = ("--orchestrator", str(orchestrator.address), "--name", "left")
        async with edge("--bundle", str(tiny_bundle.path), *fleet) as process:
            listens = (await ready(process))["listen"]
            await orchestrator.until(lambda it: len(it.reports) >= 2)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        await orchestrator.until(lambda it: it.left == 1)
    hello, last = orchestrator.hellos[0], orchestrator.reports[-1]
    assert isinstance(hello, EdgeHello)
    assert isinstance(last, EdgeReport)
    assert (hello.name, hello.address, last.stopping) == ("left", listens, True)
    assert json.loads(hello.bundles[0].profile)["model_digest"] == tiny_bundle.manifest.model_digest


async def test_a_fetch_that_was_killed_half_way_goes_on_in_the_next_life(large: Bundle, tmp_path: Path) -> None:
    delivery = StallingDelivery(large)
    place = tmp_path / "store" / large.manifest.model_digest
    async with a_controller(beside=[delivery.handler()]) as orchestrator:
        fleet = ("--orchestrator", str(orchestrator.address), "--fetch", "tiny", "--store", str(tmp_path / "store"))
        async with edge(*fleet) as process:
            await asyncio.wait_for(delivery.stalls.wait(), PATIENCE)
            partial = place / (LARGE + PARTIAL)
            while not partial.exists() or partial.stat().st_size < 2 * CHUNK:
                await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
        assert not (place / "manifest.json").exists()
        async with edge(*fleet) as process:
            (bundle,) = (await ready(process))["bundles"]
    assert delivery.asked(LARGE) == [0, 2 * CHUNK]
    assert bundle == {"name": "tiny", "digest": large.manifest.model_digest, "path": str(place)}
    assert open_bundle(place).manifest == large.manifest


async def test_a_bundle_that_the_orchestrator_does_not_have_is_an_error(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with a_controller(beside=[RememberingDelivery(tiny_bundle).handler()]) as orchestrator:
        fleet = ("--orchestrator", str(orchestrator.address), "--fetch", "huge", "--store", str(tmp_path))
        async with edge(*fleet) as process:
            _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 1
    assert "no bundle 'huge' is delivered here, but: tiny" in err.decode()


async def test_an_edge_that_is_there_first_waits_for_its_orchestrator(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with a_controller() as gone:
        address = str(gone.address)
    async with edge("--orchestrator", address, "--fetch", "tiny", "--store", str(tmp_path)) as process:
        assert process.stderr is not None
        said = ""
        while "trying again" not in said:
            said = (await asyncio.wait_for(process.stderr.readline(), PATIENCE)).decode()
        async with a_controller(address=address, beside=[RememberingDelivery(tiny_bundle).handler()]):
            assert (await ready(process))["bundles"][0]["name"] == "tiny"
