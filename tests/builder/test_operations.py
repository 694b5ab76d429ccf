"""Multiply-accumulates, against what one computes by hand."""

import pytest
import torch
from torch import Tensor, nn

from offramp.records import SampleSpec
from offramp_builder.capture import capture
from offramp_builder.preprocess import preprocessor
from tests.builder.building import Capturing

CONVOLUTION = 16 * 16 * 8 * 3 * 9  # positions · outputs · inputs · kernel
SEQUENCE = SampleSpec(kind="array", shape=(10, 6), dtype="float32")


class LastStep(nn.Module):
    def __init__(self, memory: nn.Module, width: int) -> None:
        super().__init__()
        self.memory, self.head = memory, nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (LastStep(nn.GRU(6, 5, batch_first=True), 5), 10 * 3 * 5 * (6 + 5) + 15),
        (LastStep(nn.LSTM(6, 5, batch_first=True), 5), 10 * 4 * 5 * (6 + 5) + 15),
        (LastStep(nn.LSTM(6, 5, batch_first=True, bidirectional=True), 10), 2 * 10 * 4 * 5 * (6 + 5) + 30),
        (LastStep(nn.RNN(6, 5, batch_first=True), 5), 10 * 5 * (6 + 5) + 15),
        # projections in and out, then Q Kᵀ and the weighted sum of V
        (Attending(), 10 * 6 * 4 * 6 + 2 * 10 * 10 * 6 + 18),
    ],
    ids=["gru", "lstm", "bidirectional-lstm", "rnn", "attention"],
)
def test_layers_count_what_their_definition_says(module: nn.Module, expected: int) -> None:
    assert capture(module, SEQUENCE, preprocessor(SEQUENCE)).macs == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("zoo:resnet20", 40_813_184), ("residual", 4 * 16 * 16 * 8 * 8 * 9 + CONVOLUTION + 40)]
)
def test_networks_count_what_is_published_or_computed_by_hand(captured: Capturing, name: str, expected: int) -> None:
    assert captured(name).macs == expected


def test_the_batch_does_not_count() -> None:
    sample = SampleSpec(kind="array", shape=(7,), dtype="float32")
    torch.manual_seed(0)
    network = capture(nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 2)), sample, preprocessor(sample))
    assert [cut.macs for cut in network.cuts] == [0, 28, 28, 36]
