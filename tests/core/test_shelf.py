"""Fetched bundles on their shelf: what a device needs of one, what is held, what is removed."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.manifest import Manifest
from offramp.bundle.shelf import default_store, device_part, held_digests, open_held, remove_held, shelf_lock
from offramp.bundle.store import WEIGHTS, Bundle, open_bundle
from offramp.clock import ManualClock
from offramp.errors import BundleError
from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.planning.resolve import resolve
from offramp.records import Feature
from offramp.runtime.runtime import SegmentOutputs
from offramp.units import Seconds
from offramp_device.route import RouteOpener
from offramp_evaluation.assets import DEMO_BUNDLE


class Opened:
    """A runtime that only remembers which graphs were opened."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.files: set[str] = set()

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> "Opened":
        self.files.add(self._manifest.segment(start, stop, branch=branch, via=via).file)
        return self

    def run(self, _: Feature) -> SegmentOutputs:
        return SegmentOutputs((np.zeros(1),))

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def demo() -> Bundle:
    return open_bundle(DEMO_BUNDLE)


def every_plan(manifest: Manifest) -> Iterator[Plan]:
    """Each split with each choice of the branches before it."""
    for split in range(manifest.end + 1):
        before = [branch.cut for branch in manifest.branches if branch.cut <= split]
        for count in range(len(before) + 1):
            for asked in combinations(before, count):
                rule = (
                    ExitRule(policy="confidence", thresholds=tuple((cut, 0.9) for cut in asked)) if asked else NO_EXIT
                )
                plain = replace(resolve(f"split={split}", manifest), exit=rule)
                yield plain
                for spec in manifest.bottlenecks:
                    if spec.cut == split:
                        yield replace(plain, codec=f"{spec.name}/affine8")


def opened(manifest: Manifest) -> set[str]:
    """What a device opens for every plan that there is."""
    runtime = Opened(manifest)
    opener = RouteOpener(manifest, runtime, ManualClock())  # type: ignore[arg-type]
    for plan in every_plan(manifest):
        opener.open(plan)
    return runtime.files


def test_a_devices_part_is_enough_for_every_plan_with_its_detours(demo: Bundle) -> None:
    assert opened(demo.manifest) <= device_part(demo.manifest)


def test_it_is_enough_for_every_plan_via_a_bottleneck(detoured_bundle: Bundle) -> None:
    files = opened(detoured_bundle.manifest)
    assert {"graph/0-1~slim.onnx", "graph/1-2b~slim.onnx", "graph/2-4~own.onnx"} <= files
    assert files <= device_part(detoured_bundle.manifest)


def test_a_devices_part_holds_weights_candidates_and_samples(demo: Bundle) -> None:
    assert {WEIGHTS, "candidates.json", "reference.npz"} <= device_part(demo.manifest)


def test_a_devices_part_leaves_out_what_begins_and_ends_where_no_road_does(demo: Bundle) -> None:
    assert "graph/1-2.onnx" not in device_part(demo.manifest)


def a_shelf(bundle: Bundle, store: Path) -> str:
    digest = bundle.manifest.model_digest
    shutil.copytree(bundle.path, store / digest)
    return digest


@pytest.mark.parametrize(
    ("environment", "store"),
    [({"XDG_CACHE_HOME": "/var/cache"}, Path("/var/cache/offramp")), ({}, Path.home() / ".cache/offramp")],
)
def test_a_store_lies_where_caches_do(environment: dict[str, str], store: Path) -> None:
    assert default_store(environment) == store


def test_what_is_held_opens(tiny_bundle: Bundle, tmp_path: Path) -> None:
    digest = a_shelf(tiny_bundle, tmp_path)
    assert held_digests(tmp_path) == (digest,)
    assert open_held(tmp_path, digest).manifest == tiny_bundle.manifest


def test_a_shelf_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert held_digests(tmp_path / "nowhere") == ()


def test_a_folder_without_a_manifest_is_not_held_yet(tmp_path: Path) -> None:
    (tmp_path / ("a" * 64)).mkdir()
    assert held_digests(tmp_path) == ()


def test_what_is_removed_is_gone(tiny_bundle: Bundle, tmp_path: Path) -> None:
    digest = a_shelf(tiny_bundle, tmp_path)
    remove_held(tmp_path, digest)
    assert held_digests(tmp_path) == ()
    assert not (tmp_path / digest).exists()


@pytest.mark.parametrize("digest", ["..", "", "A" * 64, "a" * 63, "a" * 64 + "/.."])
def test_only_digests_name_places_on_a_shelf(tmp_path: Path, digest: str) -> None:
    with pytest.raises(BundleError, match="is no model digest"):
        remove_held(tmp_path / "store", digest)


def test_whoever_finds_a_shelf_locked_may_give_up(tmp_path: Path) -> None:
    def give_up(_: Seconds) -> None:
        raise TimeoutError

    with shelf_lock(tmp_path, "a"), pytest.raises(TimeoutError), shelf_lock(tmp_path, "a", give_up):
        pass
