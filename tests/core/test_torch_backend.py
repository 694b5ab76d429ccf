"""The torch runtime computes what ONNX Runtime computes, operator by operator and segment by segment."""

import asyncio
import contextlib
import gc
import json
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import StringStringEntryProto, TensorProto, helper
from torch._subclasses.fake_tensor import FakeTensorMode

from offramp.bundle.specs import TensorSpec
from offramp.bundle.store import WEIGHTS, Bundle, open_bundle
from offramp.errors import BundleError, PlanError, SettingsError
from offramp.records import Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.runtime import SegmentOutputs
from offramp.runtime.torch_backend import TorchRuntime
from offramp.runtime.torch_ops.program import translate
from offramp.runtime.torch_ops.weights import Weights
from offramp.wire.address import Address, parse_address
from offramp.wire.channels import open_aio_channel
from offramp_edge_server.settings import EdgeSettings
from offramp_evaluation.assets import DEMO_BUNDLE
from tests.builder.building import build
from tests.edge_server.edge import SERVICE, DeviceSide, Road, logits_of
from tests.support.shells import run_python
from tests.support.tiny_bundle import some_images

NETWORKS = ["tiny", "detoured", "demo", "zoo:resnet8", "zoo:ecg_cnn", "zoo:vit_small"]


OUT = "feature_0_out"
CODECS = ("raw", "float32", "float32", "float32")  # at each split
Bundles = Callable[[str], Bundle]


@pytest.fixture(scope="module")
def bundles(tiny_bundle: Bundle, detoured_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """`bundles(name)`: the tiny bundle, the same with bottlenecks, the demo's, or one with an inner cut of a network of
    tests/builder.
    """

    @cache
    def once(name: str) -> Bundle:
        if name == "demo":
            return open_bundle(DEMO_BUNDLE)
        if name == "detoured":
            return detoured_bundle
        return tiny_bundle if name == "tiny" else build(tmp_path_factory.mktemp("bundles") / "b", name, "1").bundle

    return once


@pytest.fixture(scope="module")
def road(tiny_bundle: Bundle) -> Iterator[Road]:
    road = Road(tiny_bundle)
    yield road
    road.close()


@pytest.fixture
def runtime(tiny_bundle: Bundle) -> TorchRuntime:
    return TorchRuntime(tiny_bundle)


def some_feature(tensors: tuple[TensorSpec, ...], batch: int) -> Feature:
    rng = np.random.default_rng(batch)
    return tuple(
        (
            rng.normal(0, 1, (batch, *spec.shape))
            if spec.dtype == "float32"
            else rng.integers(0, 256, (batch, *spec.shape))
        ).astype(spec.dtype)
        for spec in tensors
    )


def arrays(outputs: SegmentOutputs) -> Iterator[np.ndarray]:
    yield from outputs.feature
    if outputs.logits_NK is not None and outputs.scores_NS is not None:
        yield outputs.logits_NK
        yield outputs.scores_NS


def with_graph(
    bundle: Bundle, root: Path, nodes: list[onnx.NodeProto], *, weights: Sequence[TensorProto] = (), opset: int = 20
) -> Bundle:
    """A copy of the tiny bundle, in which the segment from cut 1 to cut 2 has these nodes."""
    shutil.copytree(bundle.path, root)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 8, 16, 16]) for name in ("feature_0", OUT)]
    graph = helper.make_graph(nodes, "1-2", [ends[0]], [ends[1]], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    (root / "graph/1-2.onnx").write_bytes(model.SerializeToString())
    return Bundle(root, bundle.manifest)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 5])
def test_every_segment_computes_what_onnx_runtime_computes(bundles: Bundles, name: str, batch: int) -> None:
    bundle = bundles(name)
    manifest = bundle.manifest
    with TorchRuntime(bundle) as ours, OnnxRuntime(bundle) as theirs:
        for spec in manifest.segments:
            feature = some_feature(manifest.given_to(spec), batch)
            found, expected = (
                list(arrays(runtime.open(spec.start, spec.stop, branch=spec.branch, via=spec.via).run(feature)))
                for runtime in (ours, theirs)
            )
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max(), spec.file


def test_other_readers_find_the_reference_answers(tiny_bundle: Bundle, runtime: TorchRuntime) -> None:
    samples, expected_NK = tiny_bundle.reference()
    found_NK = runtime.open(0, 4, branch=False).run((samples,)).logits_NK
    assert found_NK is not None
    assert np.allclose(found_NK, expected_NK, rtol=0, atol=1e-5 * np.abs(expected_NK).max())


@pytest.mark.system
def test_an_edge_on_torch_answers_as_one_on_onnx_runtime(tiny_bundle: Bundle, road: Road) -> None:
    """`offramp edge --runtime torch`, asked over its port."""
    images = some_images(12)
    splits = [index % 4 for index in range(len(images))]

    async def ask(address: Address) -> dict[int, np.ndarray]:
        async with open_aio_channel(address) as channel:
            device = DeviceSide(channel.stream_stream(f"{SERVICE}/Stream")())
            for split in range(4):
                await device.bind(road.binding(split, CODECS[split]), ref=split + 1)
            for index, (image, split) in enumerate(zip(images, splits, strict=True)):
                await device.request(road.payload(image, split, CODECS[split]), ref=split + 1, id=index + 1)
            answers = await device.answers(len(images))
            return {number: logits_of(answer) for number, answer in answers.items()}

    with torch_edge("--bundle", str(tiny_bundle.path), "--threads", "1") as address:
        answers = asyncio.run(ask(address))
    for index, (image, split) in enumerate(zip(images, splits, strict=True)):
        expected = road.logits(road.payload(image, split, CODECS[split]), split, CODECS[split])
        assert answers[index + 1].argmax() == expected.argmax()
        assert np.abs(answers[index + 1] - expected).max() <= 1e-4 * np.abs(expected).max()


@contextlib.contextmanager
def torch_edge(*arguments: str) -> Iterator[Address]:
    command = [sys.executable, "-m", "offramp.cli", "edge", "--runtime", "torch", "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield parse_address(json.loads(process.stdout.readline())["listen"])
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"runtime": "tensor"}, "no runtime 'tensor'; known: onnx, torch"),
        ({"torch_device": "cuda"}, "torch_device is cuda, but torch is not asked; give --runtime torch"),
    ],
)
def test_an_edge_is_told_one_of_two_runtimes(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        EdgeSettings(**given)


def test_arrays_that_come_back_belong_to_the_caller(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A segment that changes nothing must not hand out its input, nor one that answers a constant its weight."""
    passing = with_graph(tiny_bundle, tmp_path / "passing", [helper.make_node("Identity", ["feature_0"], [OUT])])
    segment = TorchRuntime(passing).open(1, 2, branch=False)
    given = np.ones((1, 8, 16, 16), np.float32)
    (found,) = segment.run((given,)).feature
    assert np.array_equal(found, given)
    assert not np.shares_memory(found, given)


def test_a_weight_is_not_handed_out(tiny_bundle: Bundle, tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((1, 8, 8, 8), np.float32), "weight")
    ignored = helper.make_node("Identity", ["feature_0"], ["ignored"])
    nodes = [ignored, helper.make_node("Reshape", ["weight", "sizes"], [OUT])]
    sizes = onnx.numpy_helper.from_array(np.array([1, 8, 8, 8]), "sizes")
    bundle = with_graph(tiny_bundle, tmp_path / "constant", nodes, weights=[weight, sizes])
    segment, given = TorchRuntime(bundle).open(1, 2, branch=False), (np.ones((1, 8, 16, 16), np.float32),)
    segment.run(given).feature[0][:] = 7
    assert np.array_equal(segment.run(given).feature[0], np.ones((1, 8, 8, 8)))


def test_read_only_features_run_as_they_come(runtime: TorchRuntime) -> None:
    """Decoded arrays may be views of the payload."""
    images = some_images(2)
    expected = runtime.open(0, 4, branch=False).run((images,)).logits_NK
    images.setflags(write=False)
    found = runtime.open(0, 4, branch=False).run((images,)).logits_NK
    assert found is not None
    assert expected is not None
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("wrong", [np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 16, 16, 3), np.float32)])
def test_a_feature_that_would_broadcast_is_refused(runtime: TorchRuntime, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is nothing that graph/0-4.onnx takes"):
        runtime.open(0, 4, branch=False).run((wrong,))


def test_segments_share_their_weights_and_free_them(tiny_bundle: Bundle) -> None:
    runtime = TorchRuntime(tiny_bundle, capacity=2)
    one, other = (runtime.open(*ends, branch=False) for ends in ((0, 2), (0, 3)))
    first = {weight.data_ptr(): weight for weight in one._program.weights if weight.ndim == 4}
    shared = [weight for weight in other._program.weights if weight.data_ptr() in first]
    assert len(shared) == 2  # the convolutions of the first two stages
    seen = [weakref.ref(weight) for weight in shared]
    runtime.close()
    del one, other, first, shared
    gc.collect()
    assert [reference() for reference in seen] == [None, None]


def test_the_least_recently_used_segment_leaves(tiny_bundle: Bundle) -> None:
    runtime = TorchRuntime(tiny_bundle, capacity=2)
    for stop in (1, 2, 1, 3):
        runtime.open(0, stop, branch=False)
    assert runtime.opened == ((0, 1, False, ""), (0, 3, False, ""))


def test_threads_may_share_a_segment(runtime: TorchRuntime) -> None:
    segment, images = runtime.open(0, 4, branch=False), some_images(32)
    expected = [segment.run((image[None],)).logits_NK for image in images]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda image: segment.run((image[None],)).logits_NK, images))
    assert np.array_equal(np.array(found), np.array(expected))


@pytest.mark.parametrize("name", ["tiny", "demo"])
def test_on_a_gpu_nothing_stays_behind(bundles: Bundles, name: str) -> None:
    """With fake tensors, which have a device and no numbers: an operator given both devices would fail here too."""
    bundle, gpu = bundles(name), torch.device("cuda:0")
    spec = bundle.manifest.segment(0, bundle.manifest.end, branch=False)
    (sample,) = bundle.manifest.cuts[0].tensors
    with FakeTensorMode():
        model = onnx.load(bundle.file(spec.file), load_external_data=False)
        program = translate(model, spec.file, Weights(bundle, gpu), gpu)
        results = program.run([torch.empty((3, *sample.shape), dtype=getattr(torch, sample.dtype), device=gpu)])
    assert [(tensor.device, len(tensor)) for tensor in results] == [(gpu, 3)] * 2


def test_sizes_are_never_read_off_a_gpu(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Each reading would wait for all that the GPU was given before. The meta device has no numbers to read."""
    nodes = [
        helper.make_node("Shape", ["feature_0"], ["rows"], start=0, end=1),
        helper.make_node("Mul", ["rows", "two"], ["more_rows"]),
        helper.make_node("Concat", ["more_rows", "sides"], ["sizes"], axis=0),
        helper.make_node("Expand", ["weight", "sizes"], ["many"]),
        helper.make_node("Reshape", ["many", "folded"], ["some"]),
        helper.make_node("Add", ["feature_0", "some"], [OUT]),
    ]
    weights = [
        onnx.numpy_helper.from_array(array, name)
        for name, array in (
            ("two", np.array([2])),
            ("sides", np.array([4, 16, 16])),
            ("folded", np.array([-1, 8, 16, 16])),
            ("weight", np.ones((1, 4, 1, 1), np.float32)),
        )
    ]
    bundle, meta = with_graph(tiny_bundle, tmp_path / "sizes", nodes, weights=weights), torch.device("meta")
    model = onnx.load(bundle.file("graph/1-2.onnx"))
    program = translate(model, "graph/1-2.onnx", Weights(bundle, meta), meta)
    (found,) = program.run([torch.empty((3, 8, 16, 16), device=meta)])
    assert (found.device, found.shape) == (meta, (3, 8, 16, 16))


def test_an_unknown_operator_is_named_with_the_way_out(tiny_bundle: Bundle, tmp_path: Path) -> None:
    bundle = with_graph(tiny_bundle, tmp_path / "odd", [helper.make_node("Det", ["feature_0"], [OUT])])
    with pytest.raises(BundleError, match="torch runtime has no operator Det; use --runtime onnx"):
        TorchRuntime(bundle).open(1, 2, branch=False)


def test_an_operator_of_another_domain_is_unknown(tiny_bundle: Bundle, tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["feature_0"], [OUT], domain="com.microsoft")
    with pytest.raises(BundleError, match="no operator com.microsoft::Relu"):
        TorchRuntime(with_graph(tiny_bundle, tmp_path / "odd", [node])).open(1, 2, branch=False)


def test_an_opset_of_another_meaning_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["feature_0"], [OUT])
    with pytest.raises(BundleError, match="reads opsets 18 to 23, not 12; use --runtime onnx"):
        TorchRuntime(with_graph(tiny_bundle, tmp_path / "old", [node], opset=12)).open(1, 2, branch=False)


def test_a_weight_outside_the_bundle_is_not_read(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[8, 1, 1], data_location=TensorProto.EXTERNAL)
    weight.external_data.append(StringStringEntryProto(key="location", value="../../secret"))
    node = helper.make_node("Mul", ["feature_0", "weight"], [OUT])
    with pytest.raises(BundleError, match="which the manifest does not list"):
        TorchRuntime(with_graph(tiny_bundle, tmp_path / "sly", [node], weights=[weight])).open(1, 2, branch=False)


@pytest.mark.parametrize(
    ("file", "content"),
    [("graph/0-2.onnx", b"no graph at all"), ("graph/0-2.onnx", b""), (WEIGHTS, b"too short"), (WEIGHTS, None)],
)
def test_a_spoiled_segment_is_a_bundle_error(
    tiny_bundle: Bundle, tmp_path: Path, file: str, content: bytes | None
) -> None:
    root = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (root / file).unlink() if content is None else (root / file).write_bytes(content)
    with pytest.raises(BundleError, match="build the bundle again"):
        TorchRuntime(Bundle(root, tiny_bundle.manifest)).open(0, 2, branch=False)


def test_a_segment_for_other_shapes_is_refused(tiny_bundle: Bundle) -> None:
    cuts = list(tiny_bundle.manifest.cuts)
    cuts[1] = replace(cuts[1], tensors=(replace(cuts[1].tensors[0], shape=(8, 1, 1)),))
    with pytest.raises(BundleError, match=r"takes feature_0 of shape \(8, 16, 16\) instead of \(8, 1, 1\)"):
        TorchRuntime(Bundle(tiny_bundle.path, replace(tiny_bundle.manifest, cuts=tuple(cuts)))).open(1, 2, branch=False)


def test_a_segment_that_is_not_in_the_bundle_is_a_plan_error(runtime: TorchRuntime) -> None:
    with pytest.raises(PlanError, match="no segment from cut 0 to cut 3 with its branch"):
        runtime.open(0, 3, branch=True)


@pytest.mark.parametrize(
    ("name", "says"),
    [("abacus", "none that torch knows"), ("meta", "neither cpu nor cuda"), ("cuda:99", "is not there")],
)
def test_a_device_that_is_not_there_is_a_settings_error(tiny_bundle: Bundle, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        TorchRuntime(tiny_bundle, torch_device=name)


@pytest.mark.parametrize("absent", ["torch", "onnx"])
def test_without_torch_or_onnx_the_extra_is_named(tiny_bundle: Bundle, absent: str) -> None:
    code = """
    import sys
    sys.modules[sys.argv[2]] = None  # as if it were not installed
    from offramp.bundle.store import open_bundle
    from offramp.errors import MissingExtraError
    from offramp.runtime.torch_backend import TorchRuntime
    try:
        TorchRuntime(open_bundle(sys.argv[1]))
    except MissingExtraError as error:
        print(error)
    """
    said = run_python(code, str(tiny_bundle.path), absent).stdout
    assert 'torch and onnx; install it with: pip install "offramp[torch]"' in said
