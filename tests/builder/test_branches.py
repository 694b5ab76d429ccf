"""Branches: fitted on a frozen trunk, calibrated, where they are asked for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from offramp.data import Parts
from offramp.errors import ModelError, UnknownNameError
from offramp.records import SampleSpec
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.kind import logits_of
from offramp_builder.branches.placing import place_branches
from offramp_builder.branches.pooling import GlobalMean, GridMean, channel_axes
from offramp_builder.branches.training import train_branches
from offramp_builder.capture import Captured, capture
from offramp_builder.features import run_to
from offramp_builder.preprocess import preprocessor
from offramp_builder.zoo import ZOO
from tests.builder.building import Capturing
from tests.builder.trunks import squares_parts, squares_trunk

SHAPES = [(8, 12, 12), (8, 32), (64, 16), (24,)]


@pytest.fixture
def parts() -> Parts:
    return squares_parts()


@pytest.fixture
def trunk() -> Captured:
    return squares_trunk()


@pytest.mark.parametrize(("kind", "names"), [("linear", ["layer2", "layer3"]), ("conv", ["layer1", "layer2"])])
def test_branches_learn_from_features_and_leave_the_trunk_alone(
    trunk: Captured, parts: Parts, kind: str, names: list[str]
) -> None:
    before = {name: value.clone() for name, value in trunk.road.state_dict().items()}
    positions = [trunk.position(name) for name in names]
    exits = train_branches(trunk, positions, kind, train=parts.train, calibration=parts.calibration)
    assert [branch.position for branch in exits.branches] == positions
    assert all(branch.accuracy is not None and branch.accuracy > 0.5 for branch in exits.branches)
    assert all(torch.equal(value, before[name]) for name, value in trunk.road.state_dict().items())


def test_accuracies_are_those_of_the_calibration_split(trunk: Captured, parts: Parts) -> None:
    position = trunk.position("layer2")
    exits = train_branches(trunk, [position], "linear", train=parts.train, calibration=parts.calibration)
    (branch,) = exits.branches
    with torch.no_grad():
        feature = run_to(trunk, [position, trunk.end], torch.from_numpy(parts.calibration.samples))
        said = [branch.network(*feature[position]), feature[trunk.end][0]]
    truth = torch.from_numpy(parts.calibration.truth_N)
    expected = [float((logits.argmax(1) == truth).float().mean()) for logits in said]
    assert [branch.accuracy, exits.final_accuracy] == pytest.approx(expected)


def test_the_channel_axis_is_found_by_what_can_be_classified(parts: Parts) -> None:
    """Tokens [T, D]: the class stands in the last axis, and the mean over it says nothing."""
    torch.manual_seed(0)
    network = ZOO["vit_small"].factory(4, (16, 16, 3))
    sample = replace(parts.train.sample, shape=(16, 16, 3))
    around = ((0, 0), (2, 2), (2, 2), (0, 0))
    few = np.arange(100)
    data = [
        replace(one.take(few), samples=np.pad(one.samples[few], around), sample=sample)
        for one in (parts.train, parts.calibration)
    ]
    tokens = capture(network, sample, preprocessor(sample))
    position = tokens.position("norm")
    exits = train_branches(tokens, [position], "linear", train=data[0], calibration=data[1])
    pool = exits.branches[0].network.get_submodule("0")
    assert isinstance(pool, GlobalMean)
    assert pool.over == [1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", list(BRANCH_KINDS))
def test_every_variant_of_every_kind_answers_logits_before_and_after_it_is_finished(
    kind: str, shape: tuple[int, ...]
) -> None:
    feature = torch.randn(6, *shape)
    for variant in BRANCH_KINDS[kind].variants(shape, 3):
        pooled = variant.pool(feature)
        variant.head.train()
        variant.head(pooled)
        expected = variant.head.eval()(pooled)
        found = BRANCH_KINDS[kind].finish(variant.head)(pooled)
        assert logits_of(found).shape == (6, 3)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_vector_has_one_channel_axis_and_a_map_may_have_two() -> None:
    assert [channel_axes(shape) for shape in SHAPES] == [[1, -1], [1, -1], [1, -1], [1]]


@pytest.mark.parametrize("shape", [(3, 6, 4), (3, 7, 2), (3, 3, 5), (3, 9), (3, 8)], ids=str)
def test_a_grid_pools_as_adaptive_pooling_to_two_does(shape: tuple[int, ...]) -> None:
    feature = torch.randn(2, *shape)
    pool = GridMean(shape)
    adaptive = nn.AdaptiveAvgPool2d(2) if len(shape) == 3 else nn.AdaptiveAvgPool1d(2)
    assert torch.allclose(pool(feature), adaptive(feature).flatten(1), atol=1e-6)
    assert pool(feature).shape == (2, pool.width)


def test_branches_are_placed_evenly_by_operations(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    positions = place_branches(network, "3")
    shares = [network.cuts[position].macs / network.macs for position in positions]
    assert shares == pytest.approx([0.25, 0.5, 0.75], abs=0.06)
    assert all(network.cuts[position].natural for position in positions)


def test_two_branches_always_have_operations_between_them(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    spent = [network.cuts[position].macs for position in place_branches(network, "9")]
    assert all(after > before for before, after in pairwise(spent))


@pytest.mark.parametrize(
    ("request_", "message"),
    [("input", "cannot hang on input"), ("layer9", "layer1"), ("500", "there are places for")],
)
def test_places_that_there_are_not_are_refused(captured: Capturing, request_: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        place_branches(captured("zoo:resnet20"), request_)


def test_auto_places_two_and_fewer_where_there_is_no_room(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    assert place_branches(network, "auto") == place_branches(network, "2")
    shallow = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    sample = SampleSpec(kind="image", shape=(8, 8, 3), dtype="uint8")
    assert len(place_branches(capture(shallow, sample, preprocessor(sample)), "auto")) == 1


def test_no_branches_are_no_branches(captured: Capturing) -> None:
    assert place_branches(captured("zoo:resnet20"), "none") == ()


def test_a_kind_that_does_not_fit_or_does_not_exist_is_refused(trunk: Captured, parts: Parts) -> None:
    last = trunk.end - 1
    assert len(trunk.cuts[last].tensors[0].spec.shape) == 1
    with pytest.raises(ModelError, match="a conv branch does not fit"):
        train_branches(trunk, [last], "conv", train=parts.train, calibration=parts.calibration)
    with pytest.raises(UnknownNameError, match="linear"):
        train_branches(trunk, [last], "liner", train=parts.train, calibration=parts.calibration)
