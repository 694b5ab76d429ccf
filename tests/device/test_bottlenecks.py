"""Plans via a bottleneck, on the device and through an edge in the same process: who runs what, on what."""

import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.clock import ManualClock
from offramp.codecs.catalog import open_codec
from offramp.errors import PlanError
from offramp.planning.resolve import resolve
from offramp.records import Answered, Result
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_device import Device
from offramp_device.route import RouteOpener
from offramp_device.uplink import LoopbackUplink, LostUplink
from tests.support.tiny_bundle import some_images

IMAGES = some_images(6, seed=9)
NOBODY = "exit=confidence:1@1"
"""Asked, and sure of nothing."""


def inferred(bundle: Bundle, plan: str) -> list[Result]:
    with Device.open(bundle, edge=LoopbackUplink(bundle), plan=plan, keep_logits=True) as device:
        return [device.infer(image) for image in IMAGES]


def by_hand(bundle: Bundle, split: int, codec: str) -> np.ndarray:
    """Encoder, codec and tail, each by itself."""
    via = codec.partition("/")[0]
    with OnnxRuntime(bundle) as runtime:
        feature = runtime.open(0, split, branch=False).run((IMAGES,)).feature
        (code,) = runtime.open(split, split, branch=False, via=via).run(feature).feature
        opened = open_codec(codec, bundle.manifest, split)
        decoded = [opened.decode(opened.encode((code[row : row + 1],))) for row in range(len(code))]
        tail = runtime.open(split, bundle.manifest.end, branch=False, via=via)
        logits = [tail.run(one).logits_NK for one in decoded]
    return np.concatenate([one for one in logits if one is not None])


@pytest.mark.parametrize(
    "codec", ["affine8", "affine4:3", "affine4:3+range", "affine4:sure6+range", "affine2+zstd", "float32:1"]
)
@pytest.mark.parametrize(("split", "via"), [(1, "slim"), (2, "own")])
@pytest.mark.parametrize("rule", ["exit=none", NOBODY])
def test_the_edge_answers_what_encoder_codec_and_tail_give(
    detoured_bundle: Bundle, split: int, via: str, codec: str, rule: str
) -> None:
    results = inferred(detoured_bundle, f"split={split}, {rule}, codec={via}/{codec}")
    assert {result.answered for result in results} == {Answered.EDGE}
    logits = np.stack([result.logits for result in results if result.logits is not None])
    np.testing.assert_allclose(logits, by_hand(detoured_bundle, split, f"{via}/{codec}"), rtol=1e-4, atol=1e-4)


def test_a_payload_is_as_long_as_its_channels_and_bits_say(detoured_bundle: Bundle) -> None:
    (size,) = {result.payload_bytes for result in inferred(detoured_bundle, "split=2, codec=own/affine4:3")}
    assert size == 3 * 4 * 4 * 4 / 8


def test_the_last_segment_ends_in_the_code_and_only_then_is_it_encoded(detoured_bundle: Bundle) -> None:
    manifest = detoured_bundle.manifest
    with OnnxRuntime(detoured_bundle) as runtime:
        opener = RouteOpener(manifest, runtime, ManualClock())

        def legs(text: str) -> list[str]:
            return [leg.name for leg in opener.open(resolve(text, manifest)).legs]

        assert legs("split=2, exit=none, codec=own/affine8") == ["0-2~own"]
        assert legs(f"split=2, {NOBODY}, codec=own/affine8") == ["0-1+branch", "1-2~own"]
        # Asked at the split itself, a sample may leave before anything is encoded.
        assert legs(f"split=1, {NOBODY}, codec=slim/affine8") == ["0-1+branch", "1-1~slim"]


def test_branches_past_the_cut_are_asked_on_the_networks_own_tail(detoured_bundle: Bundle) -> None:
    results = inferred(detoured_bundle, "split=1, codec=slim/affine8, tail=confidence:0@2")
    assert [(result.answered, result.exit) for result in results] == [(Answered.EDGE, 2)] * len(IMAGES)


def test_a_tail_of_its_own_passes_no_branch() -> None:
    from tests.support.features import a_manifest_sending, a_tensor, with_code

    manifest = with_code(a_manifest_sending(a_tensor(8, 8, 8)), 4, 4, own_tail=True)
    resolve("split=1, codec=slim/affine8", manifest)
    with pytest.raises(PlanError, match="the bottleneck slim has a tail of its own, which passes no branch"):
        resolve("split=1, codec=slim/affine8, tail=confidence:0.5@2", manifest)


def test_a_bottleneck_around_another_cut_is_refused(detoured_bundle: Bundle) -> None:
    with pytest.raises(PlanError, match=r"leads around cut 1 \(stem\), not around cut 2; split at 1 to use it"):
        resolve("split=2, codec=slim/affine8", detoured_bundle.manifest)


@pytest.mark.parametrize(
    ("plan", "exit_"), [("split=1, codec=slim/affine8", 4), ("split=2, codec=own/affine8", 4)], ids=["slim", "own"]
)
def test_without_an_edge_a_code_is_finished_on_the_device(detoured_bundle: Bundle, plan: str, exit_: int) -> None:
    with Device.open(detoured_bundle, edge=LostUplink(), plan=plan, keep_logits=True) as device:
        result = device.infer(IMAGES[0])
    assert (result.answered, result.exit) == (Answered.DEGRADED, exit_)
    assert result.logits is not None
    exact = by_hand(detoured_bundle, int(plan[6]), f"{plan.partition('codec=')[2].partition('/')[0]}/float32")[0]
    np.testing.assert_allclose(result.logits, exact, rtol=1e-4, atol=1e-4)


def test_a_lost_link_spares_the_encoder_where_a_branch_has_answered(detoured_bundle: Bundle) -> None:
    ran: list[str] = []

    class Timed:
        def note(self, name: str, seconds: float) -> None:
            ran.append(name)

    plan = f"split=1, {NOBODY}, codec=slim/affine8"
    with Device.open(detoured_bundle, edge=LostUplink(), plan=plan) as device:
        device.pipeline.report_to(Timed())
        result = device.infer(IMAGES[0])
    assert (result.answered, result.exit, ran) == (Answered.DEGRADED, 1, ["0-1+branch"])
