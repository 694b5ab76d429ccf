"""Encoders that begin with what a branch at their cut has learned to see.

# N samples, C channels, K classes
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp.codecs.catalog import open_codec
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.bottlenecks import school
from offramp_builder.bottlenecks.choosing import answers, codes
from offramp_builder.bottlenecks.convolved import convolved
from offramp_builder.bottlenecks.hint import Hint
from offramp_builder.bottlenecks.kind import Design, Place
from offramp_builder.bottlenecks.layers import Form, Heeding, folded, macs_of
from offramp_builder.bottlenecks.quantise import Rate, at_rate
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.bottlenecks.training import TrainedBottleneck, train_bottlenecks
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import fit_branches, fitting_variants, shipped
from tests.builder.narrow_bundle import write_narrow_bundle
from tests.builder.trunks import squares_parts, squares_trunk

CUT, CHANCE = "layer1", 0.25


@cache
@torch.enable_grad()
def a_branch() -> nn.Module:
    """That has learned."""
    captured, kind = squares_trunk(), "conv2"
    place = captured.position(CUT)
    fresh = {place: fitting_variants(captured, place, kind)}
    chosen = fit_branches(captured, fresh, kind, squares_parts().train, settings=BranchSettings(), seed=0)
    return shipped(kind, chosen[place])


@cache
def some_features() -> Tensor:
    captured = squares_trunk()
    return school.some_features(captured, captured.position(CUT), squares_parts())


def designed(hint: Hint | None, *, allowed: int = 10**9, stride: int = 4) -> Design:
    values = some_features()
    return convolved(
        Place(
            name=CUT,
            form=Form(shape=tuple(values.shape[1:])),
            positive=True,
            allowed=allowed,
            sample=values,
            channels=8,
            stride=stride,
            slopes=lambda: torch.ones_like(values),
            rank=lambda: torch.arange(values.shape[1]).float(),
            hint=hint,
        )
    )


def hint_of() -> Hint:
    hint = Hint.of(a_branch())
    assert hint is not None
    return hint


@pytest.mark.parametrize("halvings", [0, 1, 2])
def test_a_branch_that_was_taken_apart_says_what_it_said(halvings: int) -> None:
    hint, values = hint_of(), some_features()
    with torch.no_grad():
        said_NK = hint.rest(halvings)(hint.first(halvings)(values))
        assert torch.allclose(said_NK, a_branch()(values), atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "sidenet"])
def test_branches_without_convolutions_give_no_hint(kind: str) -> None:
    captured = squares_trunk()
    (variant, *_) = fitting_variants(captured, captured.position(CUT), kind)
    assert Hint.of(shipped(kind, variant)) is None


def test_the_first_channels_say_what_the_branch_says_before_anything_is_learned() -> None:
    values, design = some_features(), designed(hint_of())
    assert design.voice is not None
    with torch.no_grad():
        code = at_rate(design.encoder.eval()(values), Rate(2, 8))
        said_N, meant_N = design.voice.eval()(code).argmax(1), a_branch()(values).argmax(1)
    alike = float((said_N == meant_N).float().mean())
    assert alike > 0.8 > 2 * CHANCE


def test_learning_on_leaves_the_branch_alone() -> None:
    hint, design = hint_of(), designed(hint_of())
    before = [value.clone() for value in a_branch().state_dict().values()]
    for part in (design.encoder, design.voice):
        assert part is not None
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    assert all(map(torch.equal, before, a_branch().state_dict().values()))
    assert any(bool(value.any()) for value in hint.first(1).state_dict().values())


def test_a_hint_that_is_too_dear_or_too_shallow_is_not_taken() -> None:
    values = some_features()
    cost = macs_of(designed(hint_of()).encoder, values.shape[1:])
    assert designed(hint_of(), allowed=cost).voice is not None
    assert designed(hint_of(), allowed=cost - 1).voice is None
    assert designed(hint_of(), stride=2).voice is None
    assert designed(hint_of(), stride=8).voice is None  # of two convolutions


def test_folding_changes_no_answer() -> None:
    values, design = some_features(), designed(hint_of())
    with torch.no_grad():
        code = design.encoder.eval()(values)
        assert torch.allclose(folded(design.encoder)(values), code, atol=1e-5)
        assert design.voice is not None
        assert torch.allclose(folded(design.voice)(code), design.voice.eval()(code), atol=1e-4)


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders may cost what they will: this head is small."""
    monkeypatch.setattr(school, "SHARE", 10.0)


def trained(*, from_branch: bool) -> TrainedBottleneck:
    captured = squares_trunk()
    wanted = BottleneckSettings(
        at=f"{CUT}:nested:8x4", epochs=1, batch=20, shift=0.0, flip=False, from_branch=from_branch
    )
    (one,) = train_bottlenecks(captured, wanted, squares_parts(), branches={captured.position(CUT): a_branch()})
    return one


@pytest.mark.usefixtures("dear")
def test_a_bundle_answers_as_tail_and_voice_do_in_torch(tmp_path: Path) -> None:
    captured, parts, one = squares_trunk(), squares_parts(), trained(from_branch=True)
    assert isinstance(one.bottleneck.tail, Heeding)
    bundle = write_narrow_bundle(tmp_path / "hinted", one)
    runtime, some = OnnxRuntime(bundle), parts.test.take(np.arange(20))
    head, tail = (runtime.open(*ends, branch=False, via="nested") for ends in ((0, 1), (1, 2)))
    wire = open_codec("nested/affine4:3+range", bundle.manifest, 1)
    said = [tail.run(wire.decode(wire.encode(head.run((sample[None],)).feature))) for sample in some.samples]
    expected_NK = answers(captured, one.bottleneck, at_rate(codes(captured, one.bottleneck, some), Rate(3, 4))).numpy()
    found_NK = np.concatenate([answer.logits_NK for answer in said])
    alike_N = np.abs(found_NK - expected_NK).max(1) <= 1e-4 * np.abs(expected_NK).max()
    assert alike_N.mean() >= 0.9  # a value on the border between two levels may fall to either side


@pytest.mark.usefixtures("dear")
def test_hints_can_be_left_out() -> None:
    assert not isinstance(trained(from_branch=False).bottleneck.tail, Heeding)


def test_every_kind_with_convolutions_gives_a_hint() -> None:
    captured = squares_trunk()
    place = captured.position(CUT)
    for kind in (kind for kind in BRANCH_KINDS if kind in ("conv", "conv2", "conv3")):
        hint = Hint.of(shipped(kind, fitting_variants(captured, place, kind)[0]))
        assert hint is not None
        assert len(hint.convolutions) == int(kind.removeprefix("conv") or 1)
