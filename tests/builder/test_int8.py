"""Heads in int8: they say what float32 says, and leave the bundle's own head as it is."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.numpy_helper import to_array

from offramp.bundle.manifest import Manifest
from offramp.bundle.shelf import device_part
from offramp.bundle.store import MANIFEST, Bundle
from offramp.data.held_out import to_fit
from offramp.errors import ModelError, PlanError
from offramp.records import Array
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.int8.choosing import labels_of
from offramp_builder.int8.head import attach_int8
from offramp_builder.int8.pixels import reading_pixels
from offramp_builder.int8.quantising import quantised, weighted
from offramp_builder.int8.ranges import ranges_of
from offramp_builder.int8.rounding import rounded_together, together
from offramp_builder.int8.whole import Whole, whole_network
from tests.builder.building import Building
from tests.support.heads import some_data, with_int8
from tests.support.tiny_bundle import some_images, write_tiny_bundle

IMAGES = some_images(240)


@pytest.fixture(scope="module")
def int8_bundle(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_int8(tiny_bundle, tmp_path_factory.mktemp("int8") / "tiny", IMAGES)


def test_a_head_in_int8_labels_nearly_all_samples_as_float32_does(int8_bundle: Bundle) -> None:
    images = some_images(200, seed=9)
    own, other = _labels(int8_bundle, "", images), _labels(int8_bundle, "int8", images)
    assert (own == other).mean() >= 0.95


def test_its_graphs_compute_in_int8(int8_bundle: Bundle) -> None:
    spec = int8_bundle.manifest.headed("int8").segment(0, int8_bundle.manifest.end, branch=False)
    graph = onnx.load(int8_bundle.file(spec.file)).graph
    levels = {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.INT8}
    read = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in levels}
    assert any(node.op_type == "Conv" and node.input[1] in read for node in graph.node)


def test_segments_of_one_head_agree_wherever_they_are_cut(int8_bundle: Bundle) -> None:
    with OnnxRuntime(int8_bundle.headed("int8")) as runtime:
        whole = runtime.open(0, 3, branch=False).run((IMAGES[:4],)).feature[0]
        first = runtime.open(0, 1, branch=True).run((IMAGES[:4],)).feature
        there = runtime.open(1, 3, branch=False).run(first).feature[0]
    assert np.array_equal(whole, there)


def test_the_agreement_of_every_branch_and_the_end_is_reported(int8_bundle: Bundle) -> None:
    (head,) = int8_bundle.manifest.heads
    assert [cut for cut, _ in head.agreement] == [1, 2, 4]
    assert head.samples + len(_fitted(IMAGES)) == len(IMAGES)


def test_the_bundles_own_head_answers_as_before(int8_bundle: Bundle, tiny_bundle: Bundle) -> None:
    for spec in tiny_bundle.manifest.segments:
        assert int8_bundle.file(spec.file).read_bytes() == tiny_bundle.file(spec.file).read_bytes()
    assert int8_bundle.manifest.segments == tiny_bundle.manifest.segments


def test_the_digest_covers_the_other_head(int8_bundle: Bundle, tiny_bundle: Bundle) -> None:
    assert int8_bundle.manifest.model_digest != tiny_bundle.manifest.model_digest
    assert "graph/int8/weights.bin" in int8_bundle.manifest.files


def test_a_bundle_without_other_heads_is_written_as_before_there_were_any(tiny_bundle: Bundle) -> None:
    assert "heads" not in (tiny_bundle.path / MANIFEST).read_text(encoding="utf-8")


def test_a_device_fetches_what_its_roads_run_of_the_other_head(int8_bundle: Bundle) -> None:
    part = device_part(int8_bundle.manifest)
    assert {"graph/int8/weights.bin", "graph/int8/0-3.onnx", "graph/int8/1-3.onnx"} <= part
    assert "graph/int8/3-4.onnx" not in part  # no branch hangs on cut 3: no road begins there


def test_a_head_that_was_there_is_replaced(int8_bundle: Bundle, tmp_path: Path) -> None:
    again = with_int8(int8_bundle, tmp_path / "again", IMAGES)
    assert again.manifest.heads == int8_bundle.manifest.heads


def test_an_unknown_head_is_refused_by_name(int8_bundle: Bundle, tiny_bundle: Bundle) -> None:
    with pytest.raises(PlanError, match="int4"):
        int8_bundle.manifest.headed("int4")
    with pytest.raises(PlanError, match="offramp quantise"):
        tiny_bundle.manifest.headed("int8")


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path)
    with pytest.raises(ModelError, match="independent calibration samples"):
        attach_int8(bundle, some_data(bundle, IMAGES[:1]))


def test_reading_pixels_as_they_are_changes_no_answer(tiny_bundle: Bundle) -> None:
    whole = whole_network(tiny_bundle)
    there = reading_pixels(whole)
    assert there is not whole
    before, after = labels_of(whole, IMAGES), labels_of(there, IMAGES)
    assert all(np.array_equal(before[cut], after[cut]) for cut in before)


@pytest.mark.parametrize("name", ["squeeze-excite"])
def test_networks_with_depthwise_convolutions_get_a_head_that_runs(name: str, built: Building, tmp_path: Path) -> None:
    bundle = built(name, "2").bundle
    found = with_int8(bundle, tmp_path / "int8", _noise(bundle.manifest, 24))
    with OnnxRuntime(found.headed("int8")) as runtime:
        for spec in found.manifest.heads[0].segments:
            runtime.open(spec.start, spec.stop, branch=spec.branch)
    assert weighted(whole_network(bundle))


def test_rounding_together_loses_less_of_what_layers_yield(tiny_bundle: Bundle) -> None:
    whole = whole_network(tiny_bundle)
    found = quantised(whole, ranges_of(whole, IMAGES[:64], "minmax"), kept=())
    seen = together(whole, weighted(whole), IMAGES[:64])
    alone = _loss(whole, found, seen)
    rounded_together(found.model, whole, seen)
    assert _loss(whole, found, seen) < 0.7 * alone


def test_what_is_kept_in_float32_is_no_int8(tiny_bundle: Bundle) -> None:
    whole = whole_network(tiny_bundle)
    first, *_ = names = weighted(whole)
    ranges = ranges_of(whole, IMAGES[:16], "minmax")
    assert len(names) - _levels(quantised(whole, ranges, kept=[first])) == 1
    assert len(names) == _levels(quantised(whole, ranges, kept=()))


def _labels(bundle: Bundle, head: str, images: Array) -> Array:
    """What the branches and the end call them."""
    with OnnxRuntime(bundle.headed(head)) as runtime:
        asked = [runtime.open(0, cut, branch=True) for cut in (1, 2)] + [runtime.open(0, 4, branch=False)]
        return np.stack([np.asarray(segment.run((images,)).logits_NK).argmax(axis=1) for segment in asked])


def _fitted(images: Array) -> Array:
    return images[to_fit(np.arange(len(images)))]


def _noise(manifest: Manifest, count: int) -> Array:
    rng, spec = np.random.default_rng(0), manifest.sample
    if spec.dtype == "float32":
        return rng.normal(size=(count, *spec.shape)).astype(np.float32)
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max, (count, *spec.shape), dtype=spec.dtype)


def _levels(whole: Whole) -> int:
    """How many weights are in int8."""
    return sum(
        weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) > 1 for weight in whole.model.graph.initializer
    )


def _loss(whole: Whole, found: Whole, seen: Mapping[str, NDArray[np.float64]]) -> float:
    """Squared, of what the convolutions yield, by how their inputs go together."""
    before = {weight.name: to_array(weight) for weight in whole.model.graph.initializer}
    after = {weight.name: to_array(weight) for weight in found.model.graph.initializer}
    loss = 0.0
    for node in whole.model.graph.node:
        if node.op_type == "Conv":
            weight, inputs = before[node.input[1]], seen[node.name][0]
            scale = after[f"{node.input[1]}_scale"].reshape(-1, *[1] * (weight.ndim - 1))
            error_OI = (weight - scale * after[f"{node.input[1]}_quantized"]).reshape(len(weight), -1)
            loss += float(np.einsum("oi,ij,oj->", error_OI, inputs, error_OI))
    return loss
