"""Trained networks that teach another one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp.errors import ModelError, SettingsError
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.capture import Road
from offramp_builder.joint.settings import JointSettings
from offramp_builder.preprocess import preprocessor
from offramp_builder.pretrained import save_weights
from offramp_builder.recipe import Recipe
from offramp_builder.sources import gather
from offramp_builder.teachers import Teacher, tell
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import evaluate, train
from tests.builder.learnable import SIDE, bright_squares
from tests.builder.trunks import squares_trunk

SETTINGS = TrainSettings(epochs=6, batch=16, optimizer="adamw", rate=0.01, shift=0.0)


class Flat(nn.Module):
    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.early, self.late = nn.Linear(SIDE * SIDE * 3, 16), nn.Linear(16, num_classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.late(torch.relu(self.early(image_NCHW.flatten(1))))
        return logits


def road(network: nn.Module) -> Road:
    return Road(preprocessor(bright_squares(1).sample), network).eval()


def fresh() -> Road:
    torch.manual_seed(0)
    return road(Flat())


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def test_what_teachers_say_is_learned_in_the_place_of_the_labels() -> None:
    """The labels say nothing: every one is 0."""
    data = bright_squares()
    teacher = fresh()
    train(teacher, data, SETTINGS)
    told_NK = tell([teacher], data, mirrored=False, progress=quiet)
    pupil, labels = fresh(), replace(data, truth_N=np.zeros_like(data.truth_N))
    train(pupil, labels, replace(SETTINGS, taught=1.0), told_NK=told_NK)
    assert evaluate(pupil, bright_squares(seed=1)) > 0.9
    train(pupil, labels, replace(SETTINGS, taught=0.0), told_NK=told_NK)
    assert evaluate(pupil, bright_squares(seed=1)) < 0.4


def test_the_mean_is_taken_of_probabilities_of_all_teachers_and_of_mirror_images() -> None:
    data = bright_squares(3)
    one, other = fresh(), road(Flat())
    said = []
    for teacher in (one, other):
        for samples in (data.samples, data.samples[:, :, ::-1]):
            with torch.no_grad():
                said.append(torch.softmax(teacher(torch.from_numpy(samples.copy())), 1))
    told_NK = tell([one, other], data, mirrored=True, progress=quiet)
    torch.testing.assert_close(told_NK.exp(), torch.stack(said).mean(0))


def test_teachers_that_learned_other_classes_are_refused() -> None:
    with pytest.raises(ModelError, match="tell 4 and 5 classes apart, and the data have 4"):
        tell([fresh(), road(Flat(5))], bright_squares(3), mirrored=False, progress=quiet)


def test_a_teacher_may_be_another_network_than_its_pupil(tmp_path: Path) -> None:
    file = tmp_path / "squares.pt"
    save_weights(squares_trunk().road.model, file, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    data = bright_squares(40)
    np.savez(tmp_path / "squares.npz", x=data.samples, y=data.truth_N, labels=np.array(data.labels))
    sources, _ = gather(Recipe(model=f"{__name__}:Flat", data=f"npz:{tmp_path / 'squares.npz'}", train=SETTINGS))
    teacher = Teacher.parse(f"zoo:resnet8={tmp_path / 'teacher.pt'}", "zoo:resnet20")
    assert teacher == Teacher(model="zoo:resnet8", weights=tmp_path / "teacher.pt")
    opened = replace(teacher, weights=file).open(sources)
    normalised = opened.preprocess(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8))
    assert float(normalised.mean()) == pytest.approx(-2.5)  # as the weights learned, not as these data are
    with pytest.raises(ModelError, match="no weights at"):
        teacher.open(sources)
    assert Teacher.parse("rate=0.1.pt", "zoo:resnet20") == Teacher(model="zoo:resnet20", weights=Path("rate=0.1.pt"))


def test_who_learns_from_no_teachers_refuses_them() -> None:
    with pytest.raises(SettingsError, match="eenets learns from labels what leaving is worth"):
        JointSettings(loss="eenets", epochs=1, teachers=("a.pt",))
    with pytest.raises(SettingsError, match="taught by the unchanged network"):
        BottleneckSettings(at="layer2", teachers=("a.pt",))
    with pytest.raises(SettingsError, match="taught 1.5 is out of range"):
        TrainSettings(epochs=1, taught=1.5)
    with pytest.raises(SettingsError, match="taught_temperature 0.0 must be a positive number"):
        TrainSettings(epochs=1, taught_temperature=0.0)
