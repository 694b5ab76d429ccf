"""Three Ray nodes on this machine: controllers, nodes and orchestrators that are killed under load."""

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from offramp.records import NO_REVISION, Revision
from offramp.telemetry import DeviceHello, DeviceOrder, DeviceReport
from offramp.units import Seconds
from offramp.wire.address import parse_address
from offramp.wire.calling import DEVICE, ControlLink
from offramp_orchestrator.front import order
from tests.support.clusters import PATIENCE, three_nodes
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed; pip install "offramp[orchestrator]"'),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

ASSETS = Path(__file__).parents[2] / "evaluation" / "offramp_evaluation" / "assets"
CONTROLLERS, EDGES = 2, 3
NAMES = [f"board-{number}" for number in range(12)]
Event = dict[str, Any]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    # The profile spares each edge measuring one at its start.
    with three_nodes({"OFFRAMP_EDGE_PROFILE": str(ASSETS / "demo-profile.json")}) as nodes:
        yield nodes


class Orchestrator:
    """A running `offramp orchestrate --events`, and everything that it told."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "offramp.cli", "orchestrate", "--events", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.events: list[Event] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def told(self, kind: str, *, after: int = 0, **about: Any) -> Event:
        """The first event of this kind among those after the first so many, once there is one."""

        def look() -> Event | None:
            found = (event for event in self.events[after:] if {"event": kind, **about}.items() <= event.items())
            event = next(found, None)
            assert event or self.process.poll() is None, f"the orchestrator has ended; it told {self.events}"
            return event

        return eventually(look, f"{kind} {about}; it told {self.events[-8:]}", PATIENCE)

    def port(self, controller: int) -> int:
        """Where this controller listens now."""
        up = [one for one in self.events if one["event"] == "controller up" and one["controller"] == controller]
        return parse_address(up[-1]["address"]).port

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.events.append(json.loads(line))  # nothing but JSON comes this way, whatever Ray has to say


@pytest.fixture(scope="module")
def orchestrator(cluster: Any) -> Iterator[Orchestrator]:
    """One for all tests here, since Ray takes its time; the last of them kills it."""
    running = Orchestrator(
        *("--bundle", str(ASSETS / "demo"), "--listen", "127.0.0.1:0"),
        *("--ray-address", cluster.address, "--controllers", str(CONTROLLERS)),
        *("--edges", str(EDGES), "--edge-cpus", "0.25"),
    )
    try:
        for number in range(EDGES):
            running.told("edge joined", edge=f"ray-{number}")
        yield running
    finally:
        running.stop()


class Board:
    """A device that follows every order at once, and reports twenty times a second."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.orders: list[DeviceOrder] = []

    @property
    def revision(self) -> Revision:
        return self.orders[-1].revision if self.orders else NO_REVISION

    def hello(self) -> DeviceHello:
        return DeviceHello(name=self.name, profile=(ASSETS / "demo-profile.json").read_bytes(), report=self.report())

    def report(self) -> DeviceReport:
        last = self.orders[-1] if self.orders else None
        return DeviceReport(
            rate=5.0, plan=last.plan if last else "", revision=self.revision, edge=last.edge if last else ""
        )


@contextlib.asynccontextmanager
async def boards(orchestrator: Orchestrator) -> AsyncIterator[list[Board]]:
    """All of them connected, and told what to do."""
    door = parse_address(orchestrator.told("ready")["listen"])
    found = [Board(name) for name in NAMES]
    async with contextlib.AsyncExitStack() as links:
        for one in found:
            link = ControlLink(
                DEVICE,
                door,
                one.name,
                hello=one.hello,
                report=one.report,
                order=one.orders.append,
                period=Seconds(0.05),
            )
            await links.enter_async_context(link)
        await until(lambda: all(board.orders for board in found), "every device has a plan")
        yield found


async def until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"after {PATIENCE:g} s still not: {what}")


async def resumed(lost: Sequence[Board], before: dict[str, int]) -> None:
    """Once all of these have a plan of a newer epoch."""
    await until(lambda: all(board.revision.epoch > before[board.name] for board in lost), "plans resume")


def those_of(controller: int, found: Sequence[Board]) -> list[Board]:
    return [board for board in found if order(board.name, CONTROLLERS)[0] == controller]


def server_at(port: int) -> psutil.Process:
    """The process that listens there."""
    pids = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    (pid,) = pids
    return psutil.Process(pid)


def edge_processes() -> dict[str, psutil.Process]:
    """By name, those that run here now."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            words = process.cmdline()
            if "offramp.cli" in words and "edge" in words and "--name" in words:
                found[words[words.index("--name") + 1]] = process
    return found


def raylet(node: Any) -> int:
    ((process, *_),) = [node.all_processes["raylet"]]
    pid: int = process.process.pid
    return pid


def runs_on(process: psutil.Process, node: Any) -> bool:
    return raylet(node) in {parent.pid for parent in process.parents()}


def ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_devices_of_a_killed_controller_come_back_and_get_plans_of_a_new_epoch(
    orchestrator: Orchestrator,
) -> None:
    async with boards(orchestrator) as found:
        before = {board.name: board.revision.epoch for board in found}
        lost, others = those_of(1, found), those_of(0, found)
        told = len(orchestrator.events)
        server_at(orchestrator.port(1)).kill()
        await asyncio.to_thread(orchestrator.told, "controller up", after=told, controller=1)
        await resumed(lost, before)
        assert lost
        assert {board.revision.epoch - before[board.name] for board in others} == {0}  # they did not notice


async def test_what_ran_on_a_lost_node_comes_up_on_another(cluster: Any, orchestrator: Orchestrator) -> None:
    async with boards(orchestrator) as found:
        before, told = {board.name: board.revision.epoch for board in found}, len(orchestrator.events)
        servers = {number: server_at(orchestrator.port(number)) for number in range(CONTROLLERS)}
        node, number = next((one, n) for one in cluster.worker_nodes for n in servers if runs_on(servers[n], one))
        lost = [name for name, process in edge_processes().items() if runs_on(process, node)]
        cluster.remove_node(node, allow_graceful=False)
        await asyncio.to_thread(orchestrator.told, "controller up", after=told, controller=number)
        await resumed(those_of(number, found), before)
        for name in lost:
            await asyncio.to_thread(orchestrator.told, "edge joined", after=told, edge=name)
    assert lost, "Ray spreads edges over the nodes"
    assert ended(servers[number])


def test_a_killed_orchestrator_leaves_nothing_behind(orchestrator: Orchestrator) -> None:
    running = eventually(lambda: found if len(found := edge_processes()) == EDGES else None, "edges run", PATIENCE)
    left = [*running.values(), *(server_at(orchestrator.port(number)) for number in range(CONTROLLERS))]
    orchestrator.process.kill()
    eventually(lambda: all(map(ended, left)), "controllers and edges have ended", PATIENCE)
    assert len(left) == EDGES + CONTROLLERS
    assert all(map(ended, left))
