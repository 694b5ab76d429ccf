"""Bottlenecks in a bundle: what is written of them, and that nothing else is accepted.

# N samples, K classes
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import open_bundle
from offramp.bundle.tables import TOTAL
from offramp.codecs.catalog import open_codec
from offramp.errors import BundleError, ModelError
from offramp.inspect.verify import verify
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.verify import verify_detours
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured, random_samples
from offramp_builder.features import run_to
from offramp_builder.graphs import piece
from offramp_builder.segments import Branch
from offramp_builder.tables import tabulate_codes
from offramp_device import Device
from offramp_device.uplink import LoopbackUplink
from tests.builder.building import Capturing, captured_network
from tests.support.bottlenecks import a_bottleneck
from tests.support.models import IMAGE, Pooled

LABELS = ["ash", "birch", "cedar", "fir", "elm"]
STEM, BLOCK = 4, 7
SAMPLES = random_samples(IMAGE, 12, seed=2)


def some_bottlenecks(network: Captured) -> list[Bottleneck]:
    return [a_bottleneck(network, STEM), a_bottleneck(network, BLOCK, name="own", own_tail=True, seed=4)]


def write(path: Path, network: Captured, bottlenecks: list[Bottleneck]) -> Manifest:
    torch.manual_seed(2)
    branches = [Branch(position=place, kind="linear", network=Pooled((8,)).eval()) for place in (STEM, BLOCK)]
    return write_bundle(
        path,
        network,
        (0, STEM, BLOCK, network.end),
        name="a test",
        labels=LABELS,
        branches=branches,
        bottlenecks=bottlenecks,
        tables=tabulate_codes(network, bottlenecks, [SAMPLES]),
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "bundle"
    network = captured_network("residual")
    write(path, network, some_bottlenecks(network))
    return path


def test_the_manifest_says_what_each_one_is(written: Path, captured: Capturing) -> None:
    slim, own = open_bundle(written).manifest.bottlenecks
    network = captured("residual")
    assert (slim.name, slim.cut, slim.tensor.shape, slim.own_tail) == ("slim", 1, (8, 8, 8), False)
    assert (own.name, own.cut, own.own_tail, own.codecs) == (
        "own",
        2,
        True,
        ("affine4:4+range", "affine4:4", "affine4"),
    )
    convolution = 8 * 8 * 8 * 8 * 4
    assert slim.encoder_macs == own.encoder_macs == convolution
    assert slim.tail_macs == convolution + network.macs - network.cuts[STEM].macs
    assert own.tail_macs == convolution + network.macs - network.cuts[BLOCK].macs


def test_segments_lead_from_every_stop_to_the_code_and_on_to_every_branch(written: Path) -> None:
    manifest = open_bundle(written).manifest
    detours = {(spec.via, spec.start, spec.stop, spec.branch) for spec in manifest.segments if spec.via}
    assert detours == {
        ("slim", 0, 1, False), ("slim", 1, 1, False), ("slim", 1, 2, True), ("slim", 1, 3, False),
        ("own", 0, 2, False), ("own", 1, 2, False), ("own", 2, 2, False), ("own", 2, 3, False),
    }  # fmt: skip


def test_weights_of_the_stages_are_there_once(written: Path, captured: Capturing, tmp_path: Path) -> None:
    network = captured("residual")
    write(tmp_path / "plain", network, [])
    slim = a_bottleneck(network, STEM)
    write(tmp_path / "slim", network, [slim])
    own = sum(parameter.numel() * 4 for module in (slim.encoder, slim.decoder) for parameter in module.parameters())
    sizes = [(tmp_path / name / "graph" / "weights.bin").stat().st_size for name in ("plain", "slim")]
    assert sizes[1] - sizes[0] <= own + 128  # each weight begins at a multiple of 64


def test_verify_finds_nothing_wrong_with_it(written: Path) -> None:
    assert [check for check in verify(written) if not check.passed] == []


@pytest.mark.parametrize("codec", ["affine4:4+range", "affine4:4", "affine4", "affine8:8+range"])
@pytest.mark.parametrize("which", [0, 1], ids=["slim", "own"])
def test_device_wire_and_edge_answer_what_torch_composes(
    written: Path, captured: Capturing, which: int, codec: str
) -> None:
    network, bundle = captured("residual"), open_bundle(written)
    bottleneck, spec = some_bottlenecks(network)[which], bundle.manifest.bottlenecks[which]
    opened = open_codec(f"{spec.name}/{codec}", bundle.manifest, spec.cut)
    plan = f"split={spec.cut}, codec={spec.name}/{codec}"
    with Device.open(bundle, edge=LoopbackUplink(bundle), plan=plan, keep_logits=True) as device:
        found = [device.infer(sample).logits for sample in SAMPLES.numpy()]
    with torch.no_grad():
        code = bottleneck.encoder(*run_to(network, [bottleneck.position], SAMPLES)[bottleneck.position])
        sent = [opened.decode(opened.encode((one[None],)))[0] for one in code.numpy()]
        feature = bottleneck.decoder(torch.from_numpy(np.concatenate(sent)))
        ends = [[tensor.node for tensor in network.cuts[place].tensors] for place in (bottleneck.position, network.end)]
        tail = bottleneck.tail or piece(network.graph, *ends)
        (logits_NK,) = tail(feature)
    for one, expected_K in zip(found, logits_NK.numpy(), strict=True):
        assert one is not None
        np.testing.assert_allclose(one, expected_K, atol=1e-3 * np.abs(expected_K).max())


def test_counts_of_levels_are_those_of_the_code(written: Path, captured: Capturing) -> None:
    (tensor,) = open_bundle(written).manifest.tables["slim"].tensors
    network = captured("residual")
    with torch.no_grad():
        code = some_bottlenecks(network)[0].encoder(*run_to(network, [STEM], SAMPLES)[STEM])
    level_C = (code.numpy() * 255).mean(axis=(0, 2, 3))
    means_C = tensor.counts_CL.astype(float) @ np.arange(256) / TOTAL
    assert tensor.counts_CL.shape == (8, 256)
    assert np.abs(means_C - level_C).max() < 10


def test_other_weights_of_a_bottleneck_are_another_bundle(captured: Capturing, tmp_path: Path) -> None:
    network = captured("residual")
    digests = {
        write(tmp_path / str(seed), network, [a_bottleneck(network, STEM, seed=seed)]).model_digest
        for seed in (3, 3, 5)
    }
    assert len(digests) == 2


def test_a_bottleneck_that_lies_is_caught(written: Path, captured: Capturing) -> None:
    network, manifest = captured("residual"), open_bundle(written).manifest
    others = some_bottlenecks(network)
    others[0] = a_bottleneck(network, STEM, seed=77)
    given = written, manifest.segments, network, (0, STEM, BLOCK, network.end), []
    with pytest.raises(ModelError, match="via the bottleneck slim does not answer as the original does"):
        verify_detours(*given, others, SAMPLES[:5])


class Loud(nn.Module):
    def forward(self, feature_NCHW: Tensor) -> Tensor:
        return 3 + feature_NCHW[:, :2]


class Flat(nn.Module):
    def forward(self, feature_NCHW: Tensor) -> Tensor:
        return feature_NCHW.flatten(1)


def test_what_an_own_tail_cannot_read_is_refused(captured: Capturing, tmp_path: Path) -> None:
    _, own = some_bottlenecks(captured("residual"))
    with pytest.raises(ModelError, match=r"own yields \[5, 512\], which its tail cannot read"):
        write(tmp_path / "b", captured("residual"), [replace(own, decoder=Flat())])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"position": 6}, ModelError, r"leads around position 6, which is no inner kept cut of \[0, 4, 7, 13\]"),
        ({"encoder": Loud()}, ModelError, r"yields values from 3 to .*; a code lies in \[0, 1\]: end the encoder in a"),
        (
            {"decoder": Flat()},
            ModelError,
            r"the decoder of the bottleneck slim yields \[5, 512\]; .* are \[5, 8, 16, 16\]",
        ),
        ({"tail": Flat()}, ModelError, r"it should yield logits \[5, 5\]"),
        ({"name": "Slim/1"}, BundleError, "a bottleneck is called 'Slim/1'; take at most 24 lower-case letters"),
        ({"name": "own"}, BundleError, "two bottlenecks are called own"),
    ],
)
def test_what_is_no_bottleneck_is_refused(
    captured: Capturing, tmp_path: Path, changed: dict[str, object], error: type[Exception], message: str
) -> None:
    slim, own = some_bottlenecks(captured("residual"))
    with pytest.raises(error, match=message):
        write(tmp_path / "b", captured("residual"), [replace(slim, **changed), own])  # type: ignore[arg-type]
