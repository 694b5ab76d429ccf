"""Cuts inside blocks: a branch may hang there, but no plan splits there."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, open_bundle
from offramp.codecs.usual import known_codecs
from offramp.errors import ModelError, PlanError
from offramp.inspect.verify import verify
from offramp.measure.observe import observe
from offramp.planning.resolve import default_plan, resolve
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured, random_samples
from offramp_builder.choose import choose_cuts
from offramp_builder.cuts import FoundCut
from offramp_builder.segments import Branch
from tests.builder.building import Building, Built, captured_network
from tests.builder.sessions import open_segment
from tests.support.models import Pooled

SAME = 1e-4
ALONE, IN_COMPANY = 1, 5


def activations(network: Captured) -> list[FoundCut]:
    return [cut for cut in network.cuts if cut.activation]


def inside(network: Captured) -> list[int]:
    return [cut.position for cut in network.cuts if not cut.split]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Building:
    """`built(name)`: a bundle with branches inside two blocks and at the split between them."""

    @cache
    def once(name: str) -> Built:
        network = captured_network(name)
        first, *_, last = inside(network)
        between = next(cut.position for cut in network.cuts if cut.split and first < cut.position < last)
        torch.manual_seed(3)
        branches = tuple(
            Branch(
                position=position,
                kind="linear",
                network=Pooled(network.cuts[position].tensors[0].spec.shape, network.classes).eval(),
            )
            for position in (first, between, last)
        )
        kept = choose_cuts(network, "1", [branch.position for branch in branches])
        path = tmp_path_factory.mktemp("inside") / "bundle"
        labels = [f"class {index}" for index in range(network.classes)]
        write_bundle(path, network, kept, name=name, labels=labels, branches=branches)
        return Built(open_bundle(path), network, kept, branches)

    return once


def inner_cuts(manifest: Manifest) -> list[int]:
    return [index for index, cut in enumerate(manifest.cuts) if not cut.split]


def test_all_19_activations_of_resnet20_are_cuts_and_9_of_them_lie_inside_blocks() -> None:
    found = activations(captured_network("zoo:resnet20"))
    assert len(found) == 19
    assert [cut.name for cut in found if not cut.split] == [
        f"layer{layer}.{block}.relu" for layer in (1, 2, 3) for block in range(3)
    ]


def test_a_shortcut_with_weights_of_its_own_waits_until_somebody_needs_it() -> None:
    network = captured_network("zoo:resnet20")
    inner, block = network.cuts[network.position("layer2.0.relu")], network.cuts[network.position("layer1")]
    assert inner.macs - block.macs == 16 * 16 * 32 * 16 * 9  # one convolution of 3x3, not the shortcut's of 1x1 too
    assert inner.tensors[1] == block.tensors[0]


@pytest.mark.parametrize("name", ["zoo:resnet20", "squeeze-excite"])
def test_a_branch_inside_a_block_answers_as_in_torch_and_who_stays_as_the_original(built: Building, name: str) -> None:
    made = built(name)
    end = made.bundle.manifest.end
    asked = [branch.cut for branch in made.bundle.manifest.branches]
    worst = 0.0
    for rows in (ALONE, IN_COMPANY):
        batch = random_samples(made.captured.sample, rows, seed=9)
        feature: tuple[np.ndarray, ...] = (batch.numpy(),)
        for start, stop, branch in zip([0, *asked], asked, made.branches, strict=False):
            outputs = open_segment(made.bundle, start, stop, branch=True)(*feature)
            feature = tuple(value for key, value in outputs.items() if key.startswith("feature"))
            with torch.no_grad():
                expected = branch.network(torch.from_numpy(feature[0])).numpy()
            worst = max(worst, difference(outputs["logits"], expected))
        with torch.no_grad():
            expected = made.captured.road(batch).numpy()
        for start, given in ((asked[-1], feature), (asked[0], first_feature(made, batch.numpy()))):
            worst = max(worst, difference(open_segment(made.bundle, start, end)(*given)["logits"], expected))
    assert worst <= SAME


def first_feature(made: Built, batch: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is alive at the first branch."""
    outputs = open_segment(made.bundle, 0, made.bundle.manifest.branches[0].cut, branch=True)(batch)
    return tuple(value for key, value in outputs.items() if key.startswith("feature"))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_no_segment_ends_inside_a_block_without_its_branch(built: Building) -> None:
    manifest = built("residual").bundle.manifest
    inner = set(inner_cuts(manifest))
    assert inner
    assert not [spec for spec in manifest.segments if spec.stop in inner and not spec.branch]
    assert {(spec.start, spec.stop) for spec in manifest.segments} == {
        (start, stop) for stop in range(1, manifest.end + 1) for start in range(stop)
    }


def test_a_plan_that_splits_inside_a_block_is_refused_with_the_nearest_splits(built: Building) -> None:
    manifest = built("residual").bundle.manifest
    inner = inner_cuts(manifest)[0]
    message = rf"cut {inner} \(blocks\.0\.conv1\) lies inside a block.*split at {inner - 1} or {inner + 1}"
    for text in (f"split={inner}", "split=blocks.0.conv1, codec=affine8"):
        with pytest.raises(PlanError, match=message):
            resolve(text, manifest)


def test_a_plan_may_ask_inside_a_block_and_split_after_it(built: Building) -> None:
    manifest = built("residual").bundle.manifest
    inner = inner_cuts(manifest)
    assert resolve(f"split={inner[0] + 1}, exit=confidence:0.5@{inner[0]}", manifest).exit.asked == (inner[0],)
    assert default_plan(manifest).split == manifest.split_from(inner[-1]) > inner[-1]


def test_no_codec_is_offered_inside_a_block_and_its_branch_is_heard_like_any_other(built: Building) -> None:
    made = built("residual")
    bundle: Bundle = made.bundle
    codecs = known_codecs(bundle.manifest)
    assert not set(codecs) & set(inner_cuts(bundle.manifest))
    samples = made.captured.examples.numpy()
    with OnnxRuntime(bundle, capacity=40) as runtime:
        heard = observe(bundle, runtime, samples, {0: ["raw"]})
    for branch, spec in zip(made.branches, bundle.manifest.branches, strict=True):
        outputs = open_segment(bundle, 0, spec.cut, branch=True)(samples)
        assert heard.branch_labels[spec.cut].tolist() == outputs["logits"].argmax(1).tolist(), branch.position


def test_such_a_bundle_verifies(built: Building) -> None:
    checks = list(verify(built("zoo:resnet20").bundle.path))
    assert [check.what for check in checks if not check.passed] == []
    assert any("layer1.0.relu), with its branch" in check.what for check in checks)


def test_a_cut_inside_a_block_is_kept_for_its_branch_alone(tmp_path: Path) -> None:
    network = captured_network("residual")
    inner = inside(network)[0]
    with pytest.raises(ModelError, match="2 tensors are alive at 'blocks.0.conv1'"):
        choose_cuts(network, "blocks.0.conv1")
    with pytest.raises(ModelError, match="no branch hangs there"):
        write_bundle(tmp_path / "b", network, (0, inner, network.end), name="x", labels=list("abcde"))
    assert inner not in choose_cuts(network, "all")
