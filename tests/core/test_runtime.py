import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.specs import SegmentSpec
from offramp.bundle.store import WEIGHTS, Bundle
from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import BundleError, PlanError
from offramp.records import Feature
from offramp.runtime import onnx_backend
from offramp.runtime.onnx_backend import OnnxRuntime, OnnxSegment
from tests.support.tiny_bundle import CLASSES, some_images, write_tiny_bundle


@pytest.fixture
def runtime(tiny_bundle: Bundle) -> OnnxRuntime:
    return OnnxRuntime(tiny_bundle)


def difference(found: np.ndarray | None, expected: np.ndarray) -> float:
    assert found is not None
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_the_network_answers_as_the_reference_says(tiny_bundle: Bundle, runtime: OnnxRuntime) -> None:
    samples, expected_NK = tiny_bundle.reference()
    assert difference(runtime.open(0, 4, branch=False).run((samples,)).logits_NK, expected_NK) < 1e-5


@pytest.mark.parametrize("split", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 5])
def test_head_and_tail_equal_the_monolith(tiny_bundle: Bundle, runtime: OnnxRuntime, split: int, batch: int) -> None:
    samples, expected_NK = tiny_bundle.reference()
    feature = runtime.open(0, split, branch=False).run((samples[:batch],)).feature
    assert difference(runtime.open(split, 4, branch=False).run(feature).logits_NK, expected_NK[:batch]) < 1e-5


def test_a_segment_gives_what_its_end_has(runtime: OnnxRuntime) -> None:
    images: Feature = (some_images(3),)
    plain = runtime.open(0, 2, branch=False).run(images)
    asked = runtime.open(0, 2, branch=True).run(images)
    final = runtime.open(0, 4, branch=False).run(images)
    assert (len(plain.feature), plain.logits_NK, plain.scores_NS) == (1, None, None)
    assert asked.logits_NK is not None
    assert asked.scores_NS is not None
    assert (asked.logits_NK.shape, asked.scores_NS.shape) == ((3, CLASSES), (3, 4))
    assert np.array_equal(asked.feature[0], plain.feature[0])
    assert final.feature == ()
    assert final.logits_NK is not None


def test_a_decoded_payload_runs_as_it_comes(tiny_bundle: Bundle, runtime: OnnxRuntime) -> None:
    """Decoded arrays may be read-only views of the payload."""
    feature = runtime.open(0, 2, branch=False).run((some_images(1),)).feature
    expected = runtime.open(2, 4, branch=False).run(feature).logits_NK
    for name in codec_names(tiny_bundle.manifest, 2):
        codec = open_codec(name, tiny_bundle.manifest, 2)
        found = runtime.open(2, 4, branch=False).run(codec.decode(codec.encode(feature))).logits_NK
        assert found is not None
        assert expected is not None
        assert found.argmax() == expected.argmax()


def test_opening_again_gives_the_same_segment(runtime: OnnxRuntime) -> None:
    assert runtime.open(0, 2, branch=True) is runtime.open(0, 2, branch=True)
    assert runtime.open(0, 2, branch=True) is not runtime.open(0, 2, branch=False)


def test_the_least_recently_used_segment_leaves(tiny_bundle: Bundle) -> None:
    runtime = OnnxRuntime(tiny_bundle, capacity=2)
    runtime.open(0, 1, branch=False)
    runtime.open(0, 2, branch=False)
    runtime.open(0, 1, branch=False)
    runtime.open(0, 3, branch=False)
    assert runtime.opened == ((0, 1, False, ""), (0, 3, False, ""))


def test_a_segment_that_left_works_for_whoever_holds_it_and_is_freed_with_him(tiny_bundle: Bundle) -> None:
    runtime = OnnxRuntime(tiny_bundle, capacity=1)
    held = runtime.open(0, 1, branch=False)
    runtime.open(0, 2, branch=False)
    assert held.run((some_images(1),)).feature
    seen = weakref.ref(held)
    del held
    gc.collect()
    assert seen() is None


def test_closing_lets_go_of_everything(tiny_bundle: Bundle) -> None:
    with OnnxRuntime(tiny_bundle) as runtime:
        runtime.open(0, 1, branch=False)
    assert runtime.opened == ()


def test_several_askers_wait_for_one_opening(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, gate, real = [], threading.Event(), onnx_backend._open

    def slow(bundle: Bundle, spec: SegmentSpec) -> OnnxSegment:
        opened.append(spec)
        assert gate.wait(10)
        return real(bundle, spec)

    monkeypatch.setattr(onnx_backend, "_open", slow)
    runtime = OnnxRuntime(tiny_bundle)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(runtime.open, 0, 2, branch=False) for _ in range(4)]
        gate.set()
        segments = {id(one.result(timeout=10)) for one in asked}
    assert (len(opened), len(segments)) == (1, 1)


def test_opening_blocks_nobody_else(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = OnnxRuntime(tiny_bundle)
    running = runtime.open(0, 1, branch=False)
    entered, gate, real = threading.Event(), threading.Event(), onnx_backend._open

    def slow(bundle: Bundle, spec: SegmentSpec) -> OnnxSegment:
        if spec.stop == 4:
            entered.set()
            assert gate.wait(10)
        return real(bundle, spec)

    monkeypatch.setattr(onnx_backend, "_open", slow)
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(runtime.open, 0, 4, branch=False)
        assert entered.wait(10)
        assert runtime.open(0, 1, branch=False) is running
        assert running.run((some_images(1),)).feature
        assert runtime.open(0, 2, branch=False).run((some_images(1),)).feature
        assert not opening.done()
        gate.set()
        opening.result(timeout=10)


def test_threads_may_share_a_segment(runtime: OnnxRuntime) -> None:
    segment, images = runtime.open(0, 4, branch=False), some_images(64)
    expected = [segment.run((image[None],)).logits_NK for image in images]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda image: segment.run((image[None],)).logits_NK, images))
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one, other)


def test_a_segment_that_is_not_in_the_bundle_is_a_plan_error(runtime: OnnxRuntime) -> None:
    for _ in range(2):  # a failed opening leaves nothing behind
        with pytest.raises(PlanError, match="no segment from cut 0 to cut 3 with its branch"):
            runtime.open(0, 3, branch=True)
    assert runtime.opened == ()


def test_a_segment_that_failed_opens_once_it_is_mended(tiny_bundle: Bundle, tmp_path: Path) -> None:
    root = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (root / WEIGHTS).unlink()
    runtime = OnnxRuntime(Bundle(root, tiny_bundle.manifest))
    with pytest.raises(BundleError):
        runtime.open(0, 2, branch=False)
    shutil.copy(tiny_bundle.path / WEIGHTS, root / WEIGHTS)
    assert runtime.open(0, 2, branch=False).run((some_images(1),)).feature


@pytest.mark.parametrize(
    ("file", "content"),
    [("graph/0-2.onnx", b"no graph at all"), ("graph/0-2.onnx", b""), (WEIGHTS, b"too short"), (WEIGHTS, None)],
)
def test_a_spoiled_segment_is_a_bundle_error_and_prints_nothing(
    tiny_bundle: Bundle, tmp_path: Path, file: str, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (root / file).unlink() if content is None else (root / file).write_bytes(content)
    with pytest.raises(BundleError, match=r"0-2.onnx cannot be loaded: .*fetch or build the bundle again"):
        OnnxRuntime(Bundle(root, tiny_bundle.manifest)).open(0, 2, branch=False)
    assert capfd.readouterr().out == ""


def test_a_swapped_segment_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Its digests may be right: then only its inputs and outputs give it away."""
    root = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (root / "graph/0-2.onnx").write_bytes((root / "graph/0-2b.onnx").read_bytes())
    with pytest.raises(BundleError, match="has outputs feature_0_out, logits, scores instead of feature_0_out"):
        OnnxRuntime(Bundle(root, tiny_bundle.manifest)).open(0, 2, branch=False)


def test_a_segment_for_other_shapes_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    wrong = replace(tiny_bundle.manifest.cuts[1].tensors[0], shape=(3, 16, 16))
    cuts = list(tiny_bundle.manifest.cuts)
    cuts[1] = replace(cuts[1], tensors=(wrong,))
    manifest = replace(tiny_bundle.manifest, cuts=tuple(cuts))
    with pytest.raises(BundleError, match=r"1-2.onnx cannot be loaded"):
        OnnxRuntime(Bundle(tiny_bundle.path, manifest)).open(1, 2, branch=False)


def test_capacity_is_one_at_least(tiny_bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="capacity 0 keeps nothing open"):
        OnnxRuntime(tiny_bundle, capacity=0)


def test_bundles_of_other_weights_answer_otherwise(tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=5)
    assert other.manifest.model_digest != tiny_bundle.manifest.model_digest
    images: Feature = (some_images(4),)
    found, expected = (OnnxRuntime(one).open(0, 4, branch=False).run(images).logits_NK for one in (other, tiny_bundle))
    assert expected is not None
    assert difference(found, expected) > 0.01
