"""From flags and recipes to a bundle with bottlenecks in it.

# N samples, K classes
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import open_bundle
from offramp.codecs.catalog import open_codec
from offramp.errors import SettingsError
from offramp.planning.candidates import read_candidates
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.bottlenecks.choosing import answers, codes
from offramp_builder.bottlenecks.quantise import Rate, at_rate
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.bottlenecks.training import TrainedBottleneck, named, read_bottlenecks, train_bottlenecks
from offramp_builder.building import build
from offramp_builder.command import BUILD
from offramp_builder.pretrained import save_weights
from offramp_builder.progress import Screen
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import load_recipe
from offramp_builder.recipe_flags import recipe_from
from tests.builder.narrow_bundle import write_narrow_bundle
from tests.builder.trunks import squares_parts, squares_trunk


@pytest.fixture(scope="module")
def trained() -> TrainedBottleneck:
    wanted = BottleneckSettings(at="layer2:nested:8", epochs=1, batch=20, shift=0.0, flip=False)
    (one,) = train_bottlenecks(squares_trunk(), wanted, squares_parts())
    return one


def test_a_bundle_answers_as_its_bottleneck_does_in_torch(trained: TrainedBottleneck, tmp_path: Path) -> None:
    """Head, codec and tail as deployed, against encoder, quantiser, decoder and tail as trained."""
    captured, parts = squares_trunk(), squares_parts()
    bundle = write_narrow_bundle(tmp_path / "narrow", trained)
    runtime, some = OnnxRuntime(bundle), parts.test.take(np.arange(20))
    head, tail = (runtime.open(*ends, branch=False, via="nested") for ends in ((0, 1), (1, 2)))
    code = codes(captured, trained.bottleneck, some)
    for codec, rate in (("affine4:3+range", Rate(3, 4)), ("affine2", Rate(8, 2))):
        wire = open_codec(f"nested/{codec}", bundle.manifest, 1)
        said = [tail.run(wire.decode(wire.encode(head.run((sample[None],)).feature))) for sample in some.samples]
        expected_NK = answers(captured, trained.bottleneck, at_rate(code, rate)).numpy()
        found_NK = np.concatenate([answer.logits_NK for answer in said])
        # A value on the border between two levels may fall to either side.
        alike_N = np.abs(found_NK - expected_NK).max(1) <= 1e-4 * np.abs(expected_NK).max()
        assert alike_N.mean() >= 0.9


def test_what_was_judged_of_a_code_that_chooses_its_rate_is_what_it_does_when_deployed(
    trained: TrainedBottleneck, tmp_path: Path
) -> None:
    bundle, judges = write_narrow_bundle(tmp_path / "narrow", trained), squares_parts().calibration
    runtime = OnnxRuntime(bundle)
    head, tail = (runtime.open(*ends, branch=False, via="nested") for ends in ((0, 1), (1, 2)))
    judged = next(judged for judged in trained.judged if judged.codec == "affine4:sure99")
    wire = open_codec("nested/affine4:sure99", bundle.manifest, 1)
    payloads = [wire.encode(head.run((sample[None],)).feature) for sample in judges.samples]
    assert len({payload[0] for payload in payloads}) > 1
    step = -(-len(judges) // 200)
    assert np.mean([len(payload) for payload in payloads[::step]]) == pytest.approx(judged.nbytes, rel=0.01)
    said_NK = np.concatenate([tail.run(wire.decode(payload)).logits_NK for payload in payloads])
    assert (said_NK.argmax(1) == judges.truth_N).mean() == pytest.approx(judged.accuracy, abs=0.02)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"at": ""}, r"'' asks for no bottleneck; write \[FROM>\]CUT"),
        ({"at": "layer2:nested:8x"}, "asks for no bottleneck"),
        ({"at": ">layer2"}, "'>layer2' asks for no bottleneck; write .FROM>.CUT"),
        ({"at": "conv1>layer1>layer2"}, "asks for no bottleneck"),
        (
            {"at": "layer1>layer2:attention"},
            "stages of its own from layer1 on would learn nothing.*or leave layer1> out",
        ),
        ({"at": "layer1>layer2", "own_tail": False}, "has the network's own tail begin where it leaves, at layer1"),
        ({"at": "layer2:nestd"}, "there is no kind of bottleneck 'nestd'; did you mean 'nested'"),
        ({"at": "layer2:nested:0"}, "0 channels sends nothing"),
        ({"at": "layer2:nested:8x3"}, "stride of 3 cannot be had; give a power of two"),
        ({"at": "layer2,layer2"}, "asks for the same bottleneck twice"),
        ({"bits": (5,)}, "no codec writes levels of 5 bits"),
        ({"sent": (0,)}, "number of channels below 1"),
        ({"optimizer": "muon"}, "muon cannot train a bottleneck.*take adamw or sgd"),
        ({"small_first": ((1, 16),)}, "leave them out"),
        ({"distill": 2.0}, "is a share of the loss"),
        ({"distill_temperature": 0.0}, "must be a positive number"),
        ({"byte_weight": -1.0}, "must be 0 or more"),
        ({"views": -1}, "views -1 cannot be kept"),
        ({"onward": True}, "give weights too"),
    ],
)
def test_settings_without_meaning_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(BottleneckSettings(at="layer2"), **changed)  # type: ignore[arg-type]


def test_a_request_says_what_it_leaves_open() -> None:
    whole, bare = BottleneckSettings(at="layer2.0:attention:16x2, layer3").requests
    assert (whole.cut, whole.kind, whole.channels, whole.stride) == ("layer2.0", "attention", 16, 2)
    assert (bare.cut, bare.kind, bare.channels, bare.stride) == ("layer3", "nested", None, None)


def test_a_request_may_leave_the_network_before_its_cut() -> None:
    (early,) = BottleneckSettings(at="layer1.0 > layer2.0:nested:64x4").requests
    assert (early.leaves, early.cut, early.kind, early.channels, early.stride) == (
        "layer1.0",
        "layer2.0",
        "nested",
        64,
        4,
    )


def test_a_second_one_of_a_kind_is_numbered_even_at_the_same_cut() -> None:
    requests = BottleneckSettings(at="layer2:nested:64x4,layer2:nested:64x2,layer2:entropic").requests
    assert named(requests) == {"nested": requests[0], "nested-2": requests[1], "entropic": requests[2]}


def asked(*flags: str) -> Recipe:
    parser = argparse.ArgumentParser()
    BUILD.configure(parser)
    return recipe_from(parser.parse_args(["--out", "here", "--recipe", "demo", *flags]))


def test_flags_ask_for_bottlenecks() -> None:
    flags = ["--bottleneck", "wide", "--bottleneck", "middle:entropic:16", "--bottleneck-epochs", "2", "--seed", "3"]
    assert asked(*flags).bottleneck == BottleneckSettings(at="wide,middle:entropic:16", epochs=2, seed=3)
    together = asked("--bottleneck", "wide", "--joint", "distill", "--bottleneck-together", "0.5").bottleneck
    assert together == BottleneckSettings(at="wide", together=0.5)
    assert asked().bottleneck is None


def test_recipes_ask_for_bottlenecks(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'model = "m:f"\ndata = "npz:x"\nweights = "w.pt"\nseed = 7\n[bottleneck]\nat = "mid"\nbits = [4, 2]'
    )
    assert load_recipe(str(file)).bottleneck == BottleneckSettings(at="mid", bits=(4, 2), seed=7)


def test_flags_of_a_bottleneck_that_nobody_asks_for_are_refused() -> None:
    with pytest.raises(SettingsError, match="belong to bottlenecks; give --bottleneck CUT"):
        asked("--bottleneck-epochs", "2")


def test_nobody_teaches_a_bottleneck_without_samples() -> None:
    with pytest.raises(SettingsError, match="a bottleneck at wide is taught by a trained network, on samples"):
        Recipe(model="m:f", weights=Path("w.pt"), bottleneck=BottleneckSettings(at="wide"))


@pytest.mark.parametrize("at", ["layer2:nested:8", "layer1>layer2:nested:8"])
def test_a_build_ships_bottlenecks_and_weighs_them_with_all_other_codecs(tmp_path: Path, at: str) -> None:
    parts, weights, data = squares_parts(), tmp_path / "w.pt", tmp_path / "squares.npz"
    save_weights(squares_trunk().road.model, weights, mean=(), std=())
    samples = np.concatenate([parts.train.samples, parts.test.samples])
    truth_N = np.concatenate([parts.train.truth_N, parts.test.truth_N])
    np.savez(data, x=samples, y=truth_N, labels=np.array(parts.train.labels))
    recipe = Recipe(
        model="zoo:resnet8",
        data=f"npz:{data}",
        weights=weights,
        cuts="layer1,layer2",
        branches="none",
        bottleneck=BottleneckSettings(at=at, epochs=2, batch=20, save=tmp_path / "narrow.pt"),
    )
    with Screen(quiet=True) as screen:
        built = build(recipe, tmp_path / "narrow", screen)
    (spec,) = built.manifest.bottlenecks
    told = built.manifest.provenance
    assert told["bottlenecks"] == at
    assert told["bottleneck_nested"].startswith("nested")
    assert f": {spec.codecs[0]} " in told["bottleneck_nested"]
    assert any(one.codec.startswith("nested/") for one in read_candidates(open_bundle(tmp_path / "narrow")).candidates)
    assert read_bottlenecks(tmp_path / "narrow.pt").keys() == {"nested"}
    assert not list(tmp_path.glob(".narrow*"))
