"""Muon: its direction is a rotation, its kernels keep their size, and it learns."""

import pytest
import torch
from torch import nn

from offramp_builder.training.muon import Muon, orthogonal
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import evaluate, train
from tests.builder.learnable import SIDE, bright_squares


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8), (1, 9)], ids=str)
def test_every_singular_value_comes_out_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape) * 1e-3))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_what_is_orthogonal_already_keeps_its_direction() -> None:
    torch.manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(12, 12))
    found = orthogonal(rotation)
    assert torch.nn.functional.cosine_similarity(found.flatten(), rotation.flatten(), dim=0) > 0.99


def test_no_gradient_is_no_direction() -> None:
    assert not orthogonal(torch.zeros(4, 9)).any()


def stepped(parameter: nn.Parameter, *, orthogonal: bool, rate: float, steps: int = 1, decay: float = 0.0) -> None:
    """Step by the same gradient each time: one."""
    optimizer = Muon([{"params": [parameter], "orthogonal": orthogonal, "weight_decay": decay}], lr=rate)
    for _ in range(steps):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()


def test_kernels_keep_the_root_of_their_rows_for_a_norm() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(100 * torch.randn(16, 8, 3, 3))
    stepped(kernel, orthogonal=True, rate=0.01, steps=5)
    assert float(kernel.detach().norm()) == pytest.approx(4.0, rel=0.05)


def test_other_parameters_follow_nesterov_momentum() -> None:
    """Gradient 1, momentum 0.9: the first step is 1 + 0.9, the second 1 + 0.9 (1 + 0.9)."""
    bias = nn.Parameter(torch.zeros(3))
    stepped(bias, orthogonal=False, rate=0.1, steps=2)
    assert bias.tolist() == pytest.approx([-0.1 * (1.9 + 2.71)] * 3)


def test_decay_pulls_towards_zero() -> None:
    matrix = nn.Parameter(torch.ones(2, 2))
    stepped(matrix, orthogonal=False, rate=0.1, decay=0.5)
    assert matrix.detach().flatten().tolist() == pytest.approx([1 - 0.1 * (1.9 + 0.5)] * 4)


def test_a_network_of_kernels_learns_with_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        _Channels(), nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)
    )
    train(network, bright_squares(), TrainSettings(epochs=4, batch=16, optimizer="muon", shift=0.0))
    assert SIDE == 12
    assert evaluate(network, bright_squares(seed=1)) > 0.9


class _Channels(nn.Module):
    def forward(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        return image_NHWC.permute(0, 3, 1, 2) / 255.0
