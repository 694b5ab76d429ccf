"""Plans with another head: the device runs its graphs and only those, and the edge never hears of it."""

import shutil
from dataclasses import replace

import pytest

from offramp.bundle.specs import HeadSpec
from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.clock import SystemClock
from offramp.errors import PlanError
from offramp.planning.resolve import resolve
from offramp.records import Answered
from offramp_device import Device, LoopbackUplink
from offramp_device.engine import open_engine
from tests.support.tiny_bundle import some_images

(IMAGE,) = some_images(1)


@pytest.fixture(scope="module")
def headed_bundle(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a head that is the bundle's own in other files."""
    path = tmp_path_factory.mktemp("heads") / "tiny"
    shutil.copytree(tiny_bundle.path, path)
    shutil.copytree(path / "graph", path / "graph" / "int8")
    segments = [replace(one, file=one.file.replace("graph/", "graph/int8/")) for one in tiny_bundle.manifest.segments]
    head = HeadSpec(name="int8", segments=tuple(segments), agreement=((4, 1.0),), samples=1)
    write_manifest(path, replace(tiny_bundle.manifest, heads=(head,)))
    return open_bundle(path)


@pytest.mark.parametrize(
    ("plan", "graphs"),
    [
        ("split=3, exit=confidence:0.9, head=int8", ["int8/0-1b", "int8/1-2b", "int8/2-3"]),
        ("split=end, head=int8", ["int8/0-4"]),
        ("split=3, exit=confidence:0.9", ["0-1b", "1-2b", "2-3"]),
    ],
)
def test_a_plan_runs_the_graphs_of_its_head_and_only_those(plan: str, graphs: list[str], headed_bundle: Bundle) -> None:
    with open_engine(headed_bundle, SystemClock()) as engine:
        route = engine.opener.open(resolve(plan, headed_bundle.manifest))
    assert [leg.segment.spec.file for leg in route.legs] == [f"graph/{name}.onnx" for name in graphs]


def test_detours_stay_in_the_bundles_own_head(headed_bundle: Bundle) -> None:
    with open_engine(headed_bundle, SystemClock()) as engine:
        route = engine.opener.open(resolve("split=1, codec=affine8, head=int8", headed_bundle.manifest))
    assert {leg.segment.spec.file for leg in route.detours} == {"graph/1-2b.onnx", "graph/1-4.onnx"}


def test_telemetry_tells_the_segments_of_heads_apart(headed_bundle: Bundle) -> None:
    with open_engine(headed_bundle, SystemClock()) as engine:
        plans = [resolve(f"split=1, codec=affine8{head}", headed_bundle.manifest) for head in ("", ", head=int8")]
        names = [engine.opener.open(plan).legs[0].name for plan in plans]
    assert names == ["0-1", "0-1@int8"]


def test_the_edge_finishes_what_another_head_began(headed_bundle: Bundle) -> None:
    plan = "split=2, codec=affine8, head=int8"
    with Device.open(headed_bundle, edge=LoopbackUplink(headed_bundle), plan=plan) as device:
        assert device.infer(IMAGE).answered is Answered.EDGE


def test_a_bundle_without_the_head_refuses_the_plan(tiny_bundle: Bundle) -> None:
    with pytest.raises(PlanError, match="no head 'int8'"):
        resolve("split=2, head=int8", tiny_bundle.manifest)


def test_a_head_at_split_0_is_refused(headed_bundle: Bundle) -> None:
    with pytest.raises(PlanError, match="runs no stage"):
        resolve("split=0, head=int8", headed_bundle.manifest)


def test_another_head_has_no_encoders_of_bottlenecks(detoured_bundle: Bundle) -> None:
    head = HeadSpec(name="int8", segments=(), agreement=(), samples=1)
    manifest = replace(detoured_bundle.manifest, heads=(head,))
    (first, *_) = manifest.bottlenecks
    with pytest.raises(PlanError, match="has no encoder"):
        resolve(f"split={first.cut}, codec={first.name}/affine8, head=int8", manifest)


def test_a_plan_with_a_head_reads_back(headed_bundle: Bundle) -> None:
    plan = resolve("split=2, codec=affine8, head=int8", headed_bundle.manifest)
    assert "head=int8" in str(plan)
    assert resolve(str(plan), headed_bundle.manifest) == plan
    assert "head" not in str(replace(plan, head=""))
