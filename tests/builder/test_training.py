"""Training: it learns, it repeats itself, it goes on where it was interrupted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from offramp.errors import InputError, ModelError, SettingsError
from offramp_builder.training.augment import augment, shrink
from offramp_builder.training.listening import Place
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.supervision import Supervised, Supervision
from offramp_builder.training.trainer import evaluate, train
from tests.builder.learnable import SIDE, bright_squares


class Flat(nn.Module):
    """Raw pictures to logits, with a place where a supervisor can listen."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Linear(SIDE * SIDE * 3, 16)
        self.late = nn.Linear(16, 4)

    def forward(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.late(self.early(image_NHWC.flatten(1) / 255.0).relu_())
        return logits


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return Flat()


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


SETTINGS = TrainSettings(epochs=6, batch=16, optimizer="adamw", rate=0.01, shift=0.0)


def test_a_network_learns_what_can_be_learnt() -> None:
    network = fresh()
    train(network, bright_squares(), SETTINGS)
    assert evaluate(network, bright_squares(seed=1)) > 0.9
    assert not network.training


class Interrupting:
    """Ctrl-C after so many epochs."""

    def __init__(self, after: float) -> None:
        self.after = after

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        if epoch >= self.after:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, broken = fresh(), fresh()
    data = bright_squares()
    train(whole, data, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        train(broken, data, SETTINGS, checkpoint=tmp_path / "half.pt", watch=Interrupting(3.5))
    resumed = fresh()
    train(resumed, data, SETTINGS, checkpoint=tmp_path / "half.pt")
    assert not torch.equal(weights(broken), weights(whole))
    assert torch.allclose(weights(resumed), weights(whole), atol=1e-6)


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(fresh(), bright_squares(), TrainSettings(epochs=1, batch=16), checkpoint=tmp_path / "one.pt")
    with pytest.raises(InputError, match="belongs to a training with other data"):
        train(fresh(), bright_squares(seed=2), TrainSettings(epochs=1, batch=16), checkpoint=tmp_path / "one.pt")
    (tmp_path / "one.pt").write_bytes(b"half a checkpoint")
    with pytest.raises(InputError, match="delete it to start afresh"):
        train(fresh(), bright_squares(), TrainSettings(epochs=1, batch=16), checkpoint=tmp_path / "one.pt")


def test_a_loss_that_explodes_ends_the_training_with_a_way_out() -> None:
    with pytest.raises(ModelError, match="train with a lower rate"):
        train(fresh(), bright_squares(), TrainSettings(epochs=5, batch=16, optimizer="sgd", rate=1e30))


def test_supervision_hears_what_the_module_said_before_it_was_changed_in_place() -> None:
    network = fresh()
    heard = []
    probe = nn.Linear(16, 4)
    probe.register_forward_pre_hook(lambda _module, inputs: heard.append(float(inputs[0].detach().min())))
    settings = TrainSettings(epochs=1, batch=16, supervise=0.5)
    objective = Supervision(network, [Supervised(place=Place("early"), classifier=probe)], settings)
    train(network, bright_squares(32), settings, objective=objective)
    assert min(heard) < 0
    assert not network.get_submodule("early")._forward_hooks


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 0},
        {"batch": 1},
        {"optimizer": "adam"},
        {"shift": 0.7},
        {"smoothing": -0.1},
        {"small_first": ((0, 16),)},
        {"small_first": ((2, 4),)},
        {"small_first": ((1, 16),)},
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((SettingsError, InputError)):
        TrainSettings(**({"epochs": 1} | changed))


def test_augmented_pictures_are_moved_and_mirrored_but_not_invented() -> None:
    images = bright_squares(64).samples
    settings = TrainSettings(epochs=1, flip=True, shift=0.25)
    moved = augment(images, settings, np.random.default_rng(0))
    assert moved.shape == images.shape
    assert (moved != images).any()
    assert all(set(after.flat) <= set(before.flat) for before, after in zip(images, moved, strict=True))
    still = TrainSettings(epochs=1, flip=False, shift=0.0)
    assert (augment(images, still, np.random.default_rng(0)) == images).all()


class Anywhere(nn.Module):
    """Raw pictures of any size to logits; it notes the sizes that it has met."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 8, 3, 2, 1)
        self.tell = nn.Linear(8, 4)
        self.sides: list[int] = []

    def forward(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        self.sides.append(image_NHWC.shape[1])
        feature = self.look(image_NHWC.permute(0, 3, 1, 2) / 255.0).relu().mean((2, 3))
        logits: torch.Tensor = self.tell(feature)
        return logits


GROWING = TrainSettings(epochs=3, batch=30, small_first=((1, 8), (1, 10)))


def anywhere() -> Anywhere:
    torch.manual_seed(0)
    return Anywhere()


def test_small_pictures_come_first_and_whole_ones_last() -> None:
    assert [GROWING.side_in(epoch) for epoch in range(4)] == [8, 10, None, None]
    network = anywhere()
    train(network, bright_squares(60), GROWING)
    assert network.sides == [8, 8, 10, 10, SIDE, SIDE]


def test_a_training_interrupted_while_pictures_grow_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, resumed = anywhere(), anywhere()
    data = bright_squares(60)
    train(whole, data, GROWING)
    with pytest.raises(KeyboardInterrupt):
        train(anywhere(), data, GROWING, checkpoint=tmp_path / "half.pt", watch=Interrupting(1.5))
    train(resumed, data, GROWING, checkpoint=tmp_path / "half.pt")
    assert resumed.sides == [10, 10, SIDE, SIDE]
    assert torch.allclose(weights(resumed), weights(whole), atol=1e-6)


def test_shrunk_pictures_keep_their_proportions_and_their_dtype() -> None:
    wide = np.full((2, 16, 24, 3), 200, np.uint8)
    small = shrink(wide, 8)
    assert small.shape == (2, 8, 12, 3)
    assert small.dtype == np.uint8
    assert (small == 200).all()


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 8, 9, 3), np.uint8), np.zeros((2, 9, 9, 3), np.float32), np.zeros((2, 300), np.int16)],
    ids=["small enough", "no picture", "sound"],
)
def test_nothing_else_is_shrunk(samples: np.ndarray) -> None:
    assert shrink(samples, 8) is samples
