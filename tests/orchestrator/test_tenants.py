import asyncio
import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from offramp.bundle.parcel import Files, read_files
from offramp.bundle.store import open_bundle
from offramp.errors import InputError
from offramp.wire.address import Address, parse_address
from offramp_orchestrator.placing import Reach
from offramp_orchestrator.settings import OrchestratorSettings
from offramp_orchestrator.tenants import ControllerTenant, EdgeTenant, bundles_folder
from tests.support.waiting import eventually

DEMO = Path(__file__).parents[2] / "evaluation" / "offramp_evaluation" / "assets" / "demo"
HERE = Reach(listen=Address(host="127.0.0.1"), host="192.0.2.7")


async def fetch(parcels: Sequence[Any]) -> list[Files]:
    return list(parcels)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return bundles_folder()


@pytest.fixture
def parcels() -> list[Files]:
    return [read_files(open_bundle(DEMO))]


async def test_a_controller_serves_from_the_first_call_on_and_stays_where_it_is(
    own_folder: Path, parcels: list[Files]
) -> None:
    tenant = ControllerTenant(OrchestratorSettings(), HERE, fetch)
    try:
        first, second = await asyncio.gather(tenant.serve(parcels), tenant.serve(parcels))
        assert first == second
        assert parse_address(first[0]).host == "192.0.2.7"
    finally:
        await tenant.stop()


async def test_a_controller_that_cannot_listen_says_so_at_each_call(own_folder: Path, parcels: list[Files]) -> None:
    taken = ControllerTenant(OrchestratorSettings(), HERE, fetch)
    try:
        address, _ = await taken.serve(parcels)
        port = parse_address(address).port
        late = ControllerTenant(OrchestratorSettings(), replace(HERE, listen=replace(HERE.listen, port=port)), fetch)
        for _ in range(2):
            with pytest.raises(InputError, match="cannot listen at"):
                await late.serve(parcels)
    finally:
        await taken.stop()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"offramp-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match="belongs to somebody else"):
        bundles_folder()


@pytest.mark.system
def test_an_edge_that_is_killed_is_launched_again_and_stopped_with_its_tenant(own_folder: Path) -> None:
    # It waits for its bundle, at a port where nobody is: all that is looked at here is the process.
    tenant = EdgeTenant("held", "127.0.0.1:1", ["d" * 64], 1, HERE)
    try:
        first = eventually(lambda: process_of("held"), "the edge runs")
        first.kill()
        second = eventually(lambda: process_of("held", without=first.pid), "it runs again")
        assert tenant.trouble().startswith("exit code -9")
        assert "launched again in 500 ms" in tenant.trouble()
    finally:
        tenant.stop()
    assert not second.is_running()


def process_of(name: str, without: int = 0) -> psutil.Process | None:
    """The child of this process that is the edge of this name."""
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in process.cmdline() and "edge" in process.cmdline() and process.pid != without:
                return process
    return None
