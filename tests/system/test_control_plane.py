"""Orchestrator, edges and devices as processes: who gets which plan, and what happens when one of them is killed."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import Bundle, open_bundle
from offramp.records import Revision
from tests.device.processes import Line, Listening, RunningDevice, a_link, an_edge
from tests.support.steered import write_plannable_bundle

pytestmark = pytest.mark.system

SLOW = 40
"""Times this machine: a board on which the demo's network takes some 50 ms, so that sending pays."""
RATE = 10
LONGEST = 600
"""Lines that a device may write until what is waited for happens: about half a minute."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the board is timed once."""
    return tmp_path_factory.mktemp("store")


@contextlib.contextmanager
def an_orchestrator(bundle: Path, address: str = "127.0.0.1:0", *flags: object) -> Iterator[Listening]:
    orchestrator = Listening("orchestrate", "--in-process", "--bundle", bundle, "--listen", address, *flags)
    try:
        yield orchestrator
    finally:
        orchestrator.stop()


@contextlib.contextmanager
def a_device(orchestrator: str, store: Path, *flags: object) -> Iterator[RunningDevice]:
    device = RunningDevice(
        "--orchestrator",
        orchestrator,
        "--store",
        store,
        "--source",
        "camera-digits",
        "--rate",
        RATE,
        "--telemetry",
        *flags,
    )
    try:
        yield device
    finally:
        if device.process.poll() is None:
            device.process.kill()
            device.finish()


def until(device: RunningDevice, holds: Callable[[Line], bool]) -> Line:
    """The first line for which it holds."""
    for _ in range(LONGEST):
        if holds(line := device.line()):
            return line
    events = [line for line in device._lines if "event" in line]
    raise AssertionError(f"what was waited for did not happen; the last events: {events[-6:]}")


def is_plan(edge: str | None = None) -> Callable[[Line], bool]:
    """A plan came into force; at this edge, if one is named."""
    return lambda line: line.get("event") == "plan" and edge in (None, line["edge"])


def is_answered(by: str, revision: str | None = None) -> Callable[[Line], bool]:
    return lambda line: line.get("answered") == by and revision in (None, line["revision"])


def ended(device: RunningDevice) -> list[Line]:
    """All results; each sample has exactly one."""
    device.interrupt()
    done = device.finish()
    assert done.code == 130, done.said
    assert "Traceback" not in done.said
    indices = [line["index"] for line in done.results]
    assert sorted(indices) == list(range(len(indices)))
    return sorted(done.results, key=lambda line: line["index"])


def test_three_devices_on_two_edges_each_get_their_own_plan_and_move_when_an_edge_is_killed(store: Path) -> None:
    bundle = find_bundle("demo")
    with contextlib.ExitStack() as opened:
        orchestrator = opened.enter_context(an_orchestrator(bundle))
        edges: dict[str, Listening] = {}
        for name, link in (("left", "20mbit,5ms"), ("right", "8mbit,10ms")):
            # An edge has to be told where devices find it before it has a port: the link's comes from the edge's.
            address = f"127.0.0.1:{_free_port()}"
            way = opened.enter_context(a_link(address, link))
            flags = ("--orchestrator", orchestrator.address, "--name", name, "--advertise", way.address)
            edges[way.address] = opened.enter_context(an_edge(bundle, address, *flags))
        devices = [
            opened.enter_context(
                a_device(orchestrator.address, store, "--bundle", bundle, "--slowdown", SLOW, "--name", name, *flags)
            )
            for name, *flags in (
                ("fast", "--objective", "minimise=latency"),
                ("frugal", "--objective", "minimise=bytes"),
                ("careful", "--objective", "minimise=latency, drop=0.5%"),
            )
        ]
        fast, frugal, careful = devices
        until(fast, is_answered("edge"))
        until(careful, is_plan())
        assert until(frugal, is_plan())["plan"].endswith("codec=none")
        home = _home(fast)
        edges.pop(home).kill()
        (elsewhere,) = edges
        until(fast, is_plan(elsewhere))
        until(fast, is_answered("edge"))
        runs = [ended(device) for device in devices]
    answered = [line["answered"] for line in runs[0]]
    degraded = [index for index, by in enumerate(answered) if by == "degraded"]
    if degraded:  # it may have left so fast that no sample noticed
        assert degraded[-1] - degraded[0] < 3 * RATE  # 3 s, at ten a second
    assert answered[-1] == "edge"
    assert runs[1][-1]["answered"] == "device"


def _home(device: RunningDevice) -> str:
    """The edge of its last plan so far."""
    return str([line for line in device._lines if line.get("event") == "plan"][-1]["edge"])


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def plannable(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_plannable_bundle(tmp_path_factory.mktemp("plannable") / "bundle")


def test_a_device_with_an_empty_store_joins_fetches_its_part_and_answers(plannable: Bundle, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with an_orchestrator(plannable.path) as orchestrator, a_device(orchestrator.address, store) as device:
        plan = until(device, is_plan())
        until(device, is_answered("device", plan["revision"]))
        results = ended(device)
    assert results
    digest = plannable.manifest.model_digest
    fetched = open_bundle(store / digest, part=True)
    assert fetched.manifest.model_digest == digest
    assert list(store.glob(f"{digest}.*.profile.json"))


def test_an_orchestrator_killed_under_load_costs_no_sample_and_plans_resume(plannable: Bundle, store: Path) -> None:
    with contextlib.ExitStack() as opened:
        orchestrator = opened.enter_context(an_orchestrator(plannable.path))
        address = orchestrator.address
        device = opened.enter_context(a_device(address, store, "--bundle", plannable.path))
        first = until(device, is_plan())
        until(device, is_answered("device", first["revision"]))
        orchestrator.kill()
        killed = device.line()
        kept = [until(device, lambda line: "answered" in line) for _ in range(RATE)]
        opened.enter_context(an_orchestrator(plannable.path, address))
        second = until(device, is_plan())
        until(device, is_answered("device", second["revision"]))
        results = ended(device)
    assert killed
    assert {line["revision"] for line in kept} == {first["revision"]}
    assert _epoch(second) > _epoch(first)
    assert {line["answered"] for line in results} == {"device"}


def _epoch(plan: Line) -> int:
    epoch, _, counter = str(plan["revision"]).partition(".")
    return Revision(int(epoch), int(counter)).epoch


@pytest.mark.parametrize("phase", ["waiting for an orchestrator", "waiting for an order", "serving"])
def test_ctrl_c_ends_a_steered_device_cleanly_whatever_it_waits_for(
    phase: str, plannable: Bundle, store: Path, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as opened:
        address = "127.0.0.1:1"
        if phase == "serving":
            address = opened.enter_context(an_orchestrator(plannable.path)).address
        elif phase == "waiting for an order":
            address = opened.enter_context(an_edge(plannable.path)).address  # it knows nothing of plans
        flags = ("--bundle", plannable.path) if phase == "serving" else ()
        device = opened.enter_context(a_device(address, store if flags else tmp_path, *flags))
        if phase == "serving":
            until(device, is_plan())
        else:
            _said(device, "waiting")
        device.interrupt()
        done = device.finish()
    assert done.code == 130
    assert "Traceback" not in done.said


def _said(device: RunningDevice, word: str) -> None:
    for _ in range(600):
        device._said.seek(0)
        if word in device._said.read():
            return
        time.sleep(0.05)
    raise AssertionError(f"the device never said {word!r}")


def test_alone_with_plan_auto_a_device_follows_its_link(store: Path) -> None:
    """The link is good, then there is none, then it is good again."""
    bundle = find_bundle("demo")
    with an_edge(bundle) as edge, a_link(edge.address, "20mbit,5ms") as link:
        device = RunningDevice(
            "--bundle", bundle, "--store", store, "--edge", link.address, "--plan", "auto", "--slowdown", SLOW,
            "--source", "camera-digits", "--rate", RATE,
        )  # fmt: skip
        until(device, is_answered("edge"))
        link.say("outage")
        until(device, lambda line: line.get("event") == "plan" and line["plan"].endswith("codec=none"))
        until(device, is_answered("device"))
        link.say("20mbit,5ms")
        until(device, is_answered("edge"))
        results = ended(device)
    assert {line["revision"] for line in results} == {"0.0"}
