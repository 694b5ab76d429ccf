"""Writing a bundle: what it says, and what may stand in its place."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import open_bundle
from offramp.errors import BundleError, ModelError
from offramp_builder.bundle import REFERENCES, write_bundle
from offramp_builder.capture import Captured, capture, random_samples
from offramp_builder.preprocess import preprocessor
from offramp_builder.ranges import calibrate
from offramp_builder.segments import Branch
from offramp_builder.verify import verify_segments, verify_slices
from tests.builder.building import Building, Capturing
from tests.support.models import IMAGE, NETWORKS, Pooled

LABELS = ["ash", "birch", "cedar", "fir", "elm"]


def write(path: Path, network: Captured, **options: object) -> Manifest:
    given = {"kept": (0, 4, network.end), "name": "a test", "labels": LABELS, **options}
    return write_bundle(path, network, **given)  # type: ignore[arg-type]


def a_branch(position: int = 4, *, network: nn.Module | None = None) -> Branch:
    torch.manual_seed(2)
    return Branch(position=position, kind="linear", network=(network or Pooled((8, 16, 16))).eval(), temperature=2.0)


def test_the_manifest_says_what_was_built(captured: Capturing, tmp_path: Path) -> None:
    network = captured("residual")
    ranges = calibrate(network, (0, 4), [network.examples])
    written = write(
        tmp_path / "b", network, ranges=ranges, branches=[a_branch()], final_accuracy=0.5, provenance={"seed": "3"}
    )
    manifest = open_bundle(tmp_path / "b").manifest
    assert manifest == written
    assert [cut.name for cut in manifest.cuts] == ["input", "stem", "output"]
    assert (manifest.cuts[1].tensors[0].low, manifest.cuts[1].tensors[0].high) == ranges[4][0]
    assert [stage.macs for stage in manifest.stages] == [network.cuts[4].macs, network.macs - network.cuts[4].macs]
    assert [(branch.cut, branch.macs, branch.temperature) for branch in manifest.branches] == [(1, 8 * 5, 2.0)]
    assert [cut.kept for cut in manifest.discovered if cut.kept is not None] == [0, 1, 2]
    assert len(manifest.discovered) == len(network.cuts)
    assert manifest.provenance == {"seed": "3"}


def test_the_reference_is_what_the_original_module_answers(captured: Capturing, tmp_path: Path) -> None:
    network = captured("residual")
    given = random_samples(IMAGE, 20, seed=5)
    write(tmp_path / "b", network, reference=given)
    samples, logits = open_bundle(tmp_path / "b").reference()
    assert np.array_equal(samples, given[:REFERENCES].numpy())
    with torch.no_grad():
        np.testing.assert_array_equal(logits, network.road(given[:REFERENCES]).numpy())


def test_the_same_network_gives_the_same_digest(captured: Capturing, tmp_path: Path) -> None:
    digests = {write(tmp_path / str(index), captured("residual")).model_digest for index in range(2)}
    assert len(digests) == 1


def test_a_new_bundle_takes_the_place_of_an_old_one(captured: Capturing, tmp_path: Path) -> None:
    write(tmp_path / "b", captured("residual"), name="old")
    write(tmp_path / "b", captured("residual"), name="new", kept=(0, captured("residual").end))
    assert open_bundle(tmp_path / "b").manifest.name == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("what", ["a folder of photographs", "a file"])
def test_what_is_not_a_bundle_is_not_overwritten(captured: Capturing, tmp_path: Path, what: str) -> None:
    place = tmp_path / "b"
    if what == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "photo.jpg").write_text("mine")
    with pytest.raises(BundleError, match="give a"):
        write(place, captured("residual"))
    assert (place if what == "a file" else place / "photo.jpg").read_text() == "mine"


def test_a_failed_build_leaves_the_old_bundle_and_nothing_else(captured: Capturing, tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, feature: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(feature.flatten(2))[:, :5]

    write(tmp_path / "b", captured("residual"), name="old")
    with pytest.raises(ModelError, match="the linear branch at cut 'stem' has no form in ONNX"):
        write(tmp_path / "b", captured("residual"), name="new", branches=[a_branch(network=Odd())])
    assert open_bundle(tmp_path / "b").manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kept": (0, 4)}, "must rise from 0"),
        ({"kept": (0, 4, 4, 11)}, "must rise from 0"),
        ({"labels": LABELS[:4]}, r"4 labels .* 5 classes"),
        ({"labels": [*LABELS[:4], "ash"]}, "all different"),
        ({"branches": [a_branch(5)]}, "not an inner kept cut"),
        ({"branches": [a_branch(), a_branch()]}, "two branches"),
        ({"branches": [a_branch(network=Pooled((8, 16, 16), 3))]}, r"it should yield logits \(1, 5\)"),
        ({"final_temperature": 0.0}, "must be a positive number"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    captured: Capturing, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        write(tmp_path / "b", captured("residual"), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_captured_graph_that_lies_is_caught_by_comparing_with_the_original() -> None:
    """Head and tail agree with each other; only the original module knows better."""
    case = NETWORKS["residual"]
    network = capture(case.module(), case.sample, preprocessor(case.sample))
    relu = next(node for node in network.graph.graph.nodes if node.target is torch.ops.aten.relu.default)
    relu.target = torch.ops.aten.silu.default
    network.graph.recompile()
    with pytest.raises(ModelError, match="does not answer as the original does"):
        verify_slices(network, network.examples)


def test_a_segment_that_lies_is_caught_by_comparing_with_the_original(built: Building) -> None:
    made = built("residual")
    case = NETWORKS["residual"]
    other = capture(case.module(seed=9), case.sample, preprocessor(case.sample))
    given = made.bundle.path, made.bundle.manifest.segments
    with pytest.raises(ModelError, match=r"the segment from cut 'input' to cut 'stem\.0' does not answer"):
        verify_segments(*given, other, made.kept, made.branches, other.examples)


def test_a_branch_that_lies_is_caught_by_comparing_with_its_module(built: Building) -> None:
    made = built("residual")
    others = [a_branch(branch.position, network=Pooled((8,))) for branch in made.branches]
    others[0] = made.branches[0]
    given = made.bundle.path, made.bundle.manifest.segments
    with pytest.raises(ModelError, match=r"with its branch does not answer as the original does"):
        verify_segments(*given, made.captured, made.kept, others, made.captured.examples)


def test_two_classes_work_from_end_to_end(built: Building) -> None:
    assert len(built("pair").bundle.manifest.labels) == 2
