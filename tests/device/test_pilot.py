"""Orders: the newest wins, an older one is refused, and one that cannot be followed leaves everything as it was."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.errors import UnknownBundleError
from offramp.plan import Plan
from offramp.records import Revision
from offramp.telemetry import DeviceOrder
from offramp_device import Device, LoopbackUplink
from offramp_device.edges import Edges
from offramp_device.engine import Engine, open_engine
from offramp_device.pilot import Pilot
from tests.support.tiny_bundle import write_tiny_bundle

OFFLOAD = "split=1, codec=float32"
HERE = "split=end, exit=confidence:0.5@1"


class FakeSession(LoopbackUplink):
    """An edge in this process, at an address."""

    def __init__(self, address: str, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.address, self.connected, self.closed = address, True, False
        self.late = self.connections = 0

    def estimate(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True


class Cockpit:
    """A device, its pilot, and whatever they do."""

    def __init__(self, bundle: Bundle, others: tuple[Bundle, ...] = (), *, own_edge: bool = False) -> None:
        self.sessions: list[FakeSession] = []
        self.followed: list[tuple[str, str]] = []
        self._bundle, self._others = bundle, {other.manifest.model_digest: other for other in others}
        self.edges = Edges(self._connect)  # type: ignore[arg-type]
        self.device = Device.open(bundle, plan="split=end")
        self.pilot = Pilot(self.device, self.edges, self._open, followed=self._note, own_edge=own_edge)

    def __enter__(self) -> "Cockpit":
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()

    def _connect(self, address: object) -> FakeSession:
        self.sessions.append(FakeSession(str(address), self._bundle))
        return self.sessions[-1]

    def _open(self, order: DeviceOrder) -> Engine:
        if order.model_digest not in self._others:
            raise UnknownBundleError(f"nobody delivers {order.bundle}")
        return open_engine(self._others[order.model_digest], SystemClock())

    def _note(self, _order: DeviceOrder, plan: Plan) -> None:
        self.followed.append((str(plan.revision), self.edges.in_use))


def an_order(plan: str = HERE, counter: int = 1, *, edge: str = "", digest: str = "", epoch: int = 5) -> DeviceOrder:
    return DeviceOrder(plan=plan, revision=Revision(epoch, counter), model_digest=digest, bundle="it", edge=edge)


def test_plan_edge_and_revision_come_into_force_together(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        cockpit.pilot.follow(an_order(OFFLOAD, edge="a:1"))
        assert cockpit.device.plan.revision == (5, 1)
        assert cockpit.device.pipeline.uplink is cockpit.sessions[0]
        assert cockpit.followed == [("5.1", "a:1")]


def test_a_second_order_for_the_same_edge_keeps_the_session(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        cockpit.pilot.follow(an_order(OFFLOAD, 1, edge="a:1"))
        cockpit.pilot.follow(an_order(HERE, 2, edge="a:1"))
        assert len(cockpit.sessions) == 1


def test_an_order_without_an_edge_leaves_it(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        cockpit.pilot.follow(an_order(OFFLOAD, 1, edge="a:1"))
        cockpit.pilot.follow(an_order(HERE, 2))
        assert cockpit.edges.in_use == ""
    assert cockpit.sessions[0].closed


def test_a_device_with_an_edge_of_its_own_leaves_it_for_no_order(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle, own_edge=True) as cockpit:
        cockpit.pilot.follow(an_order(HERE, edge="b:2"))
        assert cockpit.sessions == []
        assert cockpit.device.plan.revision == (5, 1)


@pytest.mark.parametrize(
    ("order", "trouble"),
    [
        (an_order(epoch=4, counter=9), "plan 4.9 is older than 5.1"),
        (an_order("split=9", counter=2, edge="b:2"), "cut 9 is past the end"),
        (an_order(counter=2, digest="f" * 64), "nobody delivers it"),
        (an_order(counter=2, edge="nowhere"), "HOST:PORT"),
    ],
)
def test_an_order_that_cannot_be_followed_says_why_and_changes_nothing(
    order: DeviceOrder, trouble: str, tiny_bundle: Bundle
) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        cockpit.pilot.follow(an_order(OFFLOAD, edge="a:1"))
        cockpit.pilot.follow(order)
        assert trouble in cockpit.pilot.trouble
        assert (cockpit.device.plan.revision, cockpit.edges.in_use) == ((5, 1), "a:1")
        assert all(session.closed for session in cockpit.sessions[1:])
        cockpit.pilot.follow(an_order(HERE, 3, edge="a:1"))
        assert cockpit.pilot.trouble == ""


def test_an_order_that_is_said_again_is_not_followed_again(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        for _ in range(2):
            cockpit.pilot.follow(an_order())
        assert len(cockpit.followed) == 1


def test_another_bundle_of_the_same_task_is_run(tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=5)
    with Cockpit(tiny_bundle, (other,)) as cockpit:
        cockpit.pilot.follow(an_order(digest=other.manifest.model_digest))
        assert cockpit.device.manifest.model_digest == other.manifest.model_digest


@pytest.mark.parametrize("what", ["sample", "labels"])
def test_a_bundle_of_another_task_is_refused(what: str, tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = _of_another_task(what, tmp_path)
    with Cockpit(tiny_bundle, (other,)) as cockpit:
        cockpit.pilot.follow(an_order(digest=other.manifest.model_digest))
        assert "start" in cockpit.pilot.trouble
        assert cockpit.device.manifest.model_digest == tiny_bundle.manifest.model_digest


def test_of_several_orders_that_wait_only_the_newest_is_followed(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        for counter in range(1, 6):
            cockpit.pilot.order(an_order(counter=counter))
        _run_until(cockpit.pilot, lambda: bool(cockpit.followed))
        assert [revision for revision, _ in cockpit.followed] == ["5.5"]


def test_a_pilot_that_waits_ends_when_it_is_told(tiny_bundle: Bundle) -> None:
    with Cockpit(tiny_bundle) as cockpit:
        thread = threading.Thread(target=cockpit.pilot.run)
        thread.start()
        cockpit.pilot.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


def _run_until(pilot: Pilot, holds: Callable[[], bool]) -> None:
    thread = threading.Thread(target=pilot.run)
    thread.start()
    ticks = threading.Event()
    for _ in range(1_000):
        if holds():
            break
        ticks.wait(0.01)
    pilot.stop()
    thread.join(timeout=10)
    assert holds()


def _of_another_task(what: str, folder: Path) -> Bundle:
    from dataclasses import replace

    from offramp.bundle.store import write_manifest

    bundle = write_tiny_bundle(folder / "other", seed=6)
    manifest = bundle.manifest
    changed = (
        replace(manifest, labels=("a", "b", "c", "d", "e"))
        if what == "labels"
        else replace(manifest, sample=replace(manifest.sample, shape=(32, 32, 3)))
    )
    return Bundle(bundle.path, write_manifest(bundle.path, changed))
