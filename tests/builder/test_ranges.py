"""Calibration ranges."""

import pytest
import torch
from torch import nn

from offramp.records import SampleSpec
from offramp_builder.capture import capture, random_samples
from offramp_builder.features import run_to
from offramp_builder.preprocess import preprocessor
from offramp_builder.ranges import QUANTILE, calibrate
from tests.builder.building import Capturing


def test_a_range_holds_all_but_the_rarest_values(captured: Capturing) -> None:
    network = captured("residual")
    position = network.position("blocks.0.add")
    samples = random_samples(network.sample, 64)
    [(low, high)] = calibrate(network, [position], samples.split(16))[position]
    values = run_to(network, [position], samples)[position][0]
    outside = ((values < low) | (values > high)).float().mean().item()
    assert low < 0 < high
    assert outside == pytest.approx(2 * (1 - QUANTILE), rel=1)


def test_what_is_never_negative_starts_at_exactly_0(captured: Capturing) -> None:
    network = captured("residual")
    position = network.position("blocks.0")
    [(low, high)] = calibrate(network, [position], [network.examples])[position]
    assert low == 0.0 < high


def test_what_is_always_positive_starts_at_0_too() -> None:
    sample = SampleSpec(kind="array", shape=(4,), dtype="float32")
    network = capture(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)), sample, preprocessor(sample))
    [(low, high)] = calibrate(network, [2], [network.examples])[2]
    assert low == 0.0 < high


def test_raw_integers_have_no_range_and_raw_floats_have_one(captured: Capturing) -> None:
    assert calibrate(captured("residual"), [0], [captured("residual").examples])[0] == ((0.0, 0.0),)
    [(low, high)] = calibrate(captured("gru"), [0], [captured("gru").examples])[0]
    assert low < 0 < high


def test_a_tensor_that_never_changes_still_has_a_range_to_divide_by() -> None:
    sample = SampleSpec(kind="array", shape=(4,), dtype="float32")
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        module[0].bias.fill_(-1e6)
        module[2].weight.mul_(1e-3)
    network = capture(module, sample, preprocessor(sample))
    assert calibrate(network, [2], [network.examples])[2] == ((0.0, 1.0),)


def test_the_same_batches_give_the_same_ranges(captured: Capturing) -> None:
    network = captured("residual")
    positions = range(1, network.end)
    batches = random_samples(network.sample, 8).split(3)
    assert calibrate(network, positions, batches) == calibrate(network, positions, batches)
