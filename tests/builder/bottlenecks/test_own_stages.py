"""Bottlenecks that leave the network early, over stages of their own.

# N samples, K classes
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp.bundle.store import Bundle, open_bundle
from offramp.codecs.catalog import open_codec
from offramp.inspect.verify import verify
from offramp.records import Answered
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.bottlenecks import school
from offramp_builder.bottlenecks.choosing import answers, codes
from offramp_builder.bottlenecks.detour import Detour, Still
from offramp_builder.bottlenecks.kind import Step
from offramp_builder.bottlenecks.layers import macs_of
from offramp_builder.bottlenecks.quantise import Histogram, Rate, at_rate
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.bottlenecks.taught import Taught
from offramp_builder.bottlenecks.training import TrainedBottleneck, begin, train_bottlenecks
from offramp_builder.bundle import write_bundle
from offramp_builder.features import CutFeatures, run_to
from offramp_builder.segments import Branch
from offramp_builder.training.objective import Batch
from offramp_device import Device
from offramp_device.uplink import LoopbackUplink
from tests.builder.trunks import squares_parts, squares_trunk
from tests.support.heads import with_int8
from tests.support.models import Pooled

LEAVES, CUT = squares_trunk().position("layer1"), squares_trunk().position("layer2")
CHANCE = 0.25


def settings(kind: str = "nested", **changed: Any) -> BottleneckSettings:
    given: dict[str, Any] = {"epochs": 2, "batch": 20, "rate": 5e-3, "shift": 0.0, "flip": False, "distill": 0.3}
    return BottleneckSettings(at=f"layer1>layer2:{kind}:8", **(given | changed))


def train(**changed: Any) -> TrainedBottleneck:
    (one,) = train_bottlenecks(squares_trunk(), settings(**changed), squares_parts())
    return one


@cache
def trained(kind: str) -> TrainedBottleneck:
    return train(kind=kind)


def untrained(at: str = "layer1>layer2:nested:8") -> Detour:
    (one,) = begin(squares_trunk(), BottleneckSettings(at=at), squares_parts())
    return one.detour


def some_features() -> CutFeatures:
    samples = torch.from_numpy(squares_parts().train.samples[:16])
    return run_to(squares_trunk(), [LEAVES, CUT], samples)


def codes_of(one: TrainedBottleneck) -> Tensor:
    return codes(squares_trunk(), one.bottleneck, squares_parts().test)


def statistics(module: nn.Module) -> Tensor:
    return torch.cat([value.flatten() for name, value in module.named_buffers() if "running" in name])


@pytest.mark.parametrize("kind", ["nested", "entropic"])
def test_they_learn_to_say_what_the_network_says(kind: str) -> None:
    test, one = squares_parts().test, trained(kind)
    said_NK = answers(squares_trunk(), one.bottleneck, at_rate(codes_of(one), Rate(8, 4)))
    assert float((said_NK.argmax(1) == torch.from_numpy(test.truth_N)).float().mean()) > 3 * CHANCE


def test_they_begin_as_the_networks_stages_before_what_a_bottleneck_at_the_cut_begins_with() -> None:
    at, own, plain = some_features(), untrained().encoder.eval(), untrained("layer2:nested:8").encoder.eval()
    with torch.no_grad():
        assert torch.allclose(own(*at[LEAVES]), plain(*at[CUT]), atol=1e-5)


def test_from_the_cut_itself_there_are_none() -> None:
    assert untrained("layer2>layer2:nested:8").state_dict().keys() == untrained("layer2:nested:8").state_dict().keys()


@pytest.mark.parametrize(("learn", "follows"), [(("encoder", "decoder"), True), (("decoder", "tail"), False)])
def test_their_weights_and_statistics_change_only_while_the_encoder_learns(
    learn: tuple[str, ...], follows: bool
) -> None:
    detour = untrained()
    stages = detour.encoder.get_submodule("0")
    before = statistics(stages)
    detour.learn(learn)
    detour.train()(3 * some_features()[LEAVES][0])
    assert torch.equal(statistics(stages), before) is not follows
    assert {parameter.requires_grad for parameter in stages.parameters()} == {follows}


def test_taught_stages_normalise_by_what_they_were_given() -> None:
    """Features of another size are normalised away while they learn, and not after."""
    stages, feature = untrained().encoder.get_submodule("0"), some_features()[LEAVES][0]
    with torch.no_grad():
        learning = [stages.train()(scale * feature) for scale in (1, 1.5)]
        ready = [stages.eval()(scale * feature) for scale in (1, 1.5)]
    apart = [float(functional.mse_loss(*pair) / pair[0].var()) for pair in (learning, ready)]
    assert apart[0] < 0.8 * apart[1]


def test_stages_that_say_nothing_are_not_rewarded_for_what_is_easily_decoded() -> None:
    detour, at = untrained(), some_features()
    for parameter in detour.encoder.get_submodule("0").parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        detour.train()(*at[LEAVES])
    step = Step(name="features", share=1.0, learn=("encoder",), answers=False)
    still = Still(squares_trunk(), LEAVES, CUT)
    taught = Taught(detour, lambda _: torch.empty(0), settings(features=1.0), step, Histogram(8, 4), still).train()
    rows_N = torch.arange(16)
    assert detour.heard is not None
    away = functional.mse_loss(detour.heard[2], at[CUT][0]) / at[CUT][0].var()
    assert float(away) > 0.1
    assert torch.allclose(taught.loss(torch.empty(0), Batch(truth_N=rows_N, rows_N=rows_N, epoch=0)), away, rtol=1e-4)


def test_every_step_measures_features_against_the_unchanged_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    objectives: list[Taught] = []
    monkeypatch.setattr(school, "train", lambda *_args, objective, **_named: objectives.append(objective))
    train(kind="entropic")
    at = some_features()
    assert len(objectives) == 2
    for objective in objectives:
        assert objective.unchanged is not None
        found = objective.train().unchanged(*at[LEAVES])  # type: ignore[misc]
        assert torch.allclose(found, at[CUT][0], atol=1e-5)


class Interrupting:
    """Ctrl-C in the second epoch."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        if epoch > 1.4:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_codes(tmp_path: Path) -> None:
    def run(watch: Any = None) -> TrainedBottleneck:
        given = squares_trunk(), settings(), squares_parts()
        (one,) = train_bottlenecks(*given, waiting=lambda step: tmp_path / f"{step}.pt", watch=watch)
        return one

    with pytest.raises(KeyboardInterrupt):
        run(Interrupting())
    assert (tmp_path / "nested-together.pt").is_file()
    assert torch.allclose(codes_of(run()), codes_of(trained("nested")), atol=1e-6)


def test_saved_stages_are_read_as_they_were_and_learn_on(tmp_path: Path) -> None:
    before = train(epochs=1, save=tmp_path / "narrow.pt")
    after = train(weights=tmp_path / "narrow.pt")
    onward = train(weights=tmp_path / "narrow.pt", onward=True, epochs=1)
    assert torch.equal(codes_of(after), codes_of(before))
    assert not torch.equal(codes_of(onward), codes_of(before))
    assert not torch.allclose(codes_of(before), codes_of(trained("nested")), atol=1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    without: Bundle
    """Written before anything was trained."""
    own: Bundle
    bottleneck: TrainedBottleneck


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    path, network, parts = tmp_path_factory.mktemp("bundles"), squares_trunk(), squares_parts()
    torch.manual_seed(2)
    branch = Branch(position=LEAVES, kind="linear", network=Pooled((16,), classes=4).eval())
    given: dict[str, Any] = {"name": "a test", "labels": parts.train.labels, "branches": [branch]}
    kept = (0, LEAVES, network.end)
    write_bundle(path / "without", network, kept, **given)
    one = train()
    write_bundle(path / "own", network, kept, **given, bottlenecks=[one.bottleneck], tables={"nested": one.tables})
    return Written(without=open_bundle(path / "without"), own=open_bundle(path / "own"), bottleneck=one)


def test_a_plan_leaves_at_the_early_cut_and_answers_what_torch_composes(written: Written) -> None:
    bundle, one, some = written.own, written.bottleneck.bottleneck, squares_parts().test.take(np.arange(12))
    opened = open_codec("nested/affine4:6+range", bundle.manifest, 1)
    plan = "split=1, exit=confidence:1@1, codec=nested/affine4:6+range"
    with Device.open(bundle, edge=LoopbackUplink(bundle), plan=plan, keep_logits=True) as device:
        found = [device.infer(sample) for sample in some.samples]
    code = codes(squares_trunk(), one, some)
    sent = np.concatenate([opened.decode(opened.encode((row[None],)))[0] for row in code.numpy()])
    expected_NK = answers(squares_trunk(), one, torch.from_numpy(sent)).numpy()
    assert {result.answered for result in found} == {Answered.EDGE}
    found_NK = np.stack([result.logits for result in found if result.logits is not None])
    # A value on the border between two levels may fall to either side.
    alike_N = np.abs(found_NK - expected_NK).max(1) <= 1e-3 * np.abs(expected_NK).max()
    assert alike_N.mean() >= 0.9


def test_the_network_and_its_branches_answer_bit_for_bit_as_without_them(written: Written) -> None:
    samples = squares_parts().test.samples[:20]
    with OnnxRuntime(written.own) as own, OnnxRuntime(written.without) as without:
        for stop, branch in ((1, True), (2, False)):
            pair = [runtime.open(0, stop, branch=branch).run((samples,)).logits_NK for runtime in (own, without)]
            assert np.array_equal(*pair)


def test_the_manifest_counts_their_operations_to_the_encoder(written: Written) -> None:
    (spec,), network = written.own.manifest.bottlenecks, squares_trunk()
    plain = untrained("layer2:nested:8")
    encoder = macs_of(plain.encoder, network.cuts[CUT].tensors[0].spec.shape)
    decoder = macs_of(plain.decoder, spec.tensor.shape)
    assert spec.encoder_macs == network.cuts[CUT].macs - network.cuts[LEAVES].macs + encoder
    assert spec.tail_macs == decoder + network.macs - network.cuts[CUT].macs
    assert (spec.cut, spec.own_tail) == (1, True)


def test_another_head_of_the_network_leaves_them_alone(written: Written, tmp_path: Path) -> None:
    found = with_int8(written.own, tmp_path / "int8", squares_parts().test.samples)
    assert [check for check in verify(found.path) if not check.passed] == []
    assert all(not spec.via for spec in found.manifest.heads[0].segments)
    for spec in found.manifest.segments:
        assert found.file(spec.file).read_bytes() == written.own.file(spec.file).read_bytes()
