"""The part of a build in which a network learns: what it begins with, what it leaves, what goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp.errors import InputError
from offramp_builder.building import build
from offramp_builder.joint.settings import JointSettings
from offramp_builder.learning import Learned, capture_road, checkpoints_of, learn
from offramp_builder.models import open_model
from offramp_builder.pretrained import load_weights
from offramp_builder.progress import Screen
from offramp_builder.recipe import Recipe
from offramp_builder.sources import gather
from offramp_builder.training.settings import TrainSettings
from tests.builder.learnable import bright_squares

TRAIN = TrainSettings(epochs=2, batch=20, optimizer="adamw", rate=1e-2, shift=0.0)
JOINT = JointSettings(epochs=2, batch=20, optimizer="adamw", rate=1e-2, shift=0.0, loss="branchynet")


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU()), nn.Linear(8 * 25, 4)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.last(self.first(image_NCHW).flatten(1))
        return logits


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("data") / "squares.npz"
    data = bright_squares(200)
    np.savez(path, x=data.samples, y=data.truth_N, labels=np.array(data.labels))
    return Recipe(model=f"{__name__}:Tiny", data=f"npz:{path}", branches="first", train=TRAIN)


class Steps(Screen):
    """Nobody sees it; it counts the steps of training, and is interrupted after so many."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(quiet=True)
        self.taken, self._stop = 0, stop

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        self.taken += 1
        if self.taken == self._stop:
            raise KeyboardInterrupt


def learned(recipe: Recipe, out: Path, screen: Screen | None = None) -> Learned:
    sources, _ = gather(recipe)
    torch.manual_seed(recipe.seed)
    model = open_model(recipe.model, sources.sample, 4)
    if recipe.weights:
        load_weights(model, recipe.weights)
    captured = capture_road(model, sources)
    return learn(captured, [captured.position("first")], recipe, sources, out, screen or Steps())


def weights(found: Learned) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in found.captured.road.parameters()])


def test_saved_weights_bring_back_the_network_with_its_normalisation(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "trunk.pt"
    made = learned(replace(recipe, save_weights=file), tmp_path / "bundle")
    again = learned(replace(recipe, train=None, weights=file), tmp_path / "bundle")
    assert torch.equal(weights(made), weights(again))
    samples = made.captured.examples
    assert torch.equal(made.captured.road(samples), again.captured.road(samples))


def test_training_with_weights_goes_on_from_them(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "trunk.pt"
    made = learned(replace(recipe, save_weights=file), tmp_path / "bundle")
    still = replace(recipe, weights=file, train=replace(TRAIN, epochs=1, optimizer="sgd", rate=1e-9))
    assert torch.allclose(weights(learned(still, tmp_path / "other")), weights(made), atol=1e-6)


def test_branches_that_learned_with_the_network_are_handed_on(recipe: Recipe, tmp_path: Path) -> None:
    assert learned(recipe, tmp_path / "bundle").branches is None
    together = learned(replace(recipe, joint=JOINT), tmp_path / "other")
    assert together.branches is not None
    assert list(together.branches) == [together.captured.position("first")]


def test_what_was_interrupted_while_training_together_does_not_train_alone_again(
    recipe: Recipe, tmp_path: Path
) -> None:
    both = replace(recipe, joint=JOINT)
    whole, rest = Steps(), Steps()
    expected = learned(both, tmp_path / "whole", whole)
    steps = whole.taken // 4
    with pytest.raises(KeyboardInterrupt):
        learned(both, tmp_path / "broken", Steps(stop=3 * steps + 1))
    found = learned(both, tmp_path / "broken", rest)
    assert rest.taken == steps
    assert torch.allclose(weights(found), weights(expected), atol=1e-6)


def test_each_training_of_a_bundle_has_a_checkpoint_of_its_own_beside_it(recipe: Recipe, tmp_path: Path) -> None:
    learned(replace(recipe, joint=JOINT), tmp_path / "bundle")
    assert sorted(tmp_path.iterdir()) == sorted(checkpoints_of(tmp_path / "bundle"))


def test_a_folder_that_is_not_there_is_missed_before_anything_is_trained(recipe: Recipe, tmp_path: Path) -> None:
    screen = Steps()
    with pytest.raises(InputError, match="there is no folder .*nowhere to save weights in"):
        learned(replace(recipe, save_weights=tmp_path / "nowhere" / "trunk.pt"), tmp_path / "bundle", screen)
    assert screen.taken == 0


def test_a_bundle_of_what_learned_together_is_written_as_any_other(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    made = build(replace(recipe, train=None, joint=replace(JOINT, epochs=6), cuts="0"), out, Steps())
    (branch,) = made.manifest.branches
    assert made.test_accuracy is not None
    assert made.test_accuracy > 0.5
    assert branch.accuracy is not None
    assert branch.accuracy > 0.5
    assert branch.temperature != 1.0
    assert "loss=branchynet" in made.manifest.provenance["joint"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
