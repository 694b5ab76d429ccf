"""Segments: their names, their branches, and the one file of weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import WEIGHTS, open_bundle
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import random_samples
from offramp_builder.features import run_to
from offramp_builder.scores import FusedScores
from offramp_builder.segments import Branch
from offramp_builder.weights import ALIGNMENT
from tests.builder.building import Building, Capturing
from tests.builder.sessions import open_segment, segment_graph
from tests.support.models import Confident


def weight_names(graph: onnx.GraphProto) -> set[str]:
    return {weight.name for weight in graph.initializer}


def test_every_pair_of_kept_cuts_has_its_segment_and_branches_have_both(built: Building) -> None:
    manifest = built("residual").bundle.manifest
    found = {(segment.start, segment.stop, segment.branch) for segment in manifest.segments}
    pairs = {(start, stop) for stop in range(1, manifest.end + 1) for start in range(stop)}
    hung = {branch.cut for branch in manifest.branches}
    assert found == {(*pair, False) for pair in pairs} | {(*pair, True) for pair in pairs if pair[1] in hung}


def test_values_are_named_and_typed_as_the_manifest_says(built: Building) -> None:
    made = built("residual")
    cut = made.bundle.manifest.branches[1].cut
    graph = segment_graph(made.bundle, 0, cut, branch=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert list(shapes) == ["feature_0", "feature_0_out", "logits", "scores"]
    assert shapes["feature_0"] == ["N", 16, 16, 3]
    assert shapes["feature_0_out"] == ["N", *made.bundle.manifest.cuts[cut].tensors[0].shape]
    assert (shapes["logits"], shapes["scores"]) == (["N", 5], ["N", len(SCORES)])


def test_the_last_segment_yields_raw_logits_and_scores_alone(built: Building) -> None:
    made = built("residual")
    end = made.bundle.manifest.end
    assert [output.name for output in segment_graph(made.bundle, end - 1, end).output] == ["logits", "scores"]


@pytest.mark.parametrize("name", ["residual", "attention", "gru"])
def test_a_branch_in_a_segment_answers_as_the_torch_branch(built: Building, name: str) -> None:
    made = built(name)
    samples = random_samples(made.captured.sample, 5, seed=3)
    for branch in made.branches:
        at = run_to(made.captured, [branch.position], samples)[branch.position]
        with torch.no_grad():
            logits = branch.network(*at)
            scores = FusedScores(made.captured.classes, branch.temperature)(logits)
        found = open_segment(made.bundle, 0, made.kept.index(branch.position), branch=True)(samples.numpy())
        np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=1e-4 * logits.abs().max().item())
        np.testing.assert_allclose(found["scores"], scores, rtol=0, atol=1e-4)


def test_a_branch_says_its_own_confidence(captured: Capturing, tmp_path: Path) -> None:
    network = captured("residual")
    position = network.position("stem")
    branch = Branch(position=position, kind="own", network=Confident((8, 16, 16)).eval())
    write_bundle(
        tmp_path / "b", network, (0, position, network.end), name="own", labels=list("abcde"), branches=[branch]
    )
    found = open_segment(open_bundle(tmp_path / "b"), 0, 1, branch=True)(network.examples.numpy())
    with torch.no_grad():
        _, own = branch.network(*run_to(network, [position], network.examples)[position])
    np.testing.assert_allclose(found["scores"][:, SCORES.index("own")], own, atol=1e-5)


def test_a_segment_holds_nothing_of_branches_that_it_does_not_end_in(built: Building) -> None:
    made = built("residual")
    (early, late), end = (branch.cut for branch in made.bundle.manifest.branches), made.bundle.manifest.end
    with_branch = weight_names(segment_graph(made.bundle, 0, late, branch=True))
    only_branch = {name for name in with_branch if ".branch." in name}
    assert only_branch
    for start in range(end):
        for stop in range(start + 1, end + 1):
            graph = segment_graph(made.bundle, start, stop)
            assert not any("branch" in name for node in graph.node for name in (*node.input, *node.output))
            assert not only_branch & weight_names(graph)
    through = segment_graph(made.bundle, early, late, branch=True)
    assert not any(f"branch{made.branches[0].position}_" in name for node in through.node for name in node.output)


def test_an_unasked_branch_never_executes(captured: Capturing, built: Building, tmp_path: Path) -> None:
    """The branch's weights become NaN on disk: whoever asks it notices, and nobody else does."""
    made = built("residual")
    cut = made.bundle.manifest.branches[1].cut
    spoiled = type(made.bundle)(tmp_path, made.bundle.manifest)
    for path in made.bundle.file("graph").iterdir():
        (tmp_path / "graph").mkdir(exist_ok=True)
        (tmp_path / "graph" / path.name).write_bytes(path.read_bytes())
    with_branch = segment_graph(made.bundle, 0, cut, branch=True)
    plain = weight_names(segment_graph(made.bundle, 0, cut))
    (weight,) = (w for w in with_branch.initializer if w.name not in plain and w.external_data)
    place = {entry.key: entry.value for entry in weight.external_data}
    with spoiled.file(WEIGHTS).open("r+b") as file:
        file.seek(int(place["offset"]))
        file.write(np.full(int(place["length"]) // 4, np.nan, np.float32).tobytes())

    samples = made.captured.examples.numpy()
    asked = open_segment(spoiled, 0, cut, branch=True)(samples)
    assert np.isnan(asked["logits"]).all()
    unasked = open_segment(spoiled, 0, cut)(samples)
    rest = open_segment(spoiled, cut, made.bundle.manifest.end)(unasked["feature_0_out"])
    whole = open_segment(made.bundle, 0, made.bundle.manifest.end)(samples)
    np.testing.assert_allclose(rest["logits"], whole["logits"], rtol=0, atol=1e-4 * np.abs(whole["logits"]).max())


@pytest.mark.parametrize("name", ["zoo:resnet20", "inception", "attention", "lstm"])
def test_all_segments_together_weigh_what_the_network_weighs(built: Building, name: str) -> None:
    made = built(name)
    parts = [made.captured.road, *(branch.network for branch in made.branches)]
    parameters = sum(tensor.nbytes for part in parts for tensor in part.parameters())
    assert made.bundle.file(WEIGHTS).stat().st_size <= 1.1 * parameters


def test_graphs_without_their_weights_are_small(built: Building) -> None:
    graphs = list(built("zoo:resnet20").bundle.file("graph").glob("*.onnx"))
    assert max(path.stat().st_size for path in graphs) < 16_000


def test_weights_begin_on_cache_lines(built: Building) -> None:
    made = built("zoo:resnet20")
    weights = segment_graph(made.bundle, 0, made.bundle.manifest.end).initializer
    offsets = [int(entry.value) for weight in weights for entry in weight.external_data if entry.key == "offset"]
    assert offsets
    assert all(offset % ALIGNMENT == 0 for offset in offsets)


def test_batch_normalisation_is_folded_wherever_its_convolution_is_not_a_cut(built: Building) -> None:
    made = built("zoo:resnet20", "auto")
    graph = segment_graph(made.bundle, 0, made.bundle.manifest.end)
    assert "BatchNormalization" not in {node.op_type for node in graph.node}


def test_graphs_tell_nothing_of_the_host_that_exported_them(built: Building) -> None:
    made = built("residual")
    for path in made.bundle.file("graph").glob("*.onnx"):
        assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()


def test_graphs_pass_the_checks_of_onnx(built: Building) -> None:
    graphs = list(built("attention").bundle.file("graph").glob("*.onnx"))
    assert graphs
    assert [complaint for complaint in map(_complaint, graphs) if complaint] == []


def _complaint(path: Path) -> str:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return f"{path.name}: {error}"
    return ""
