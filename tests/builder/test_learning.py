"""The part of a build in which a network learns: what it begins with, what it leaves, what goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp.errors import InputError, ModelError
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.building import build
from offramp_builder.joint.settings import JointSettings
from offramp_builder.learning import Learned, capture_road, checkpoints_of, learn
from offramp_builder.models import open_model
from offramp_builder.pretrained import LearnedBranch, branches_of, load_weights, save_weights
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


@pytest.fixture(scope="module")
def saved(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Learned, Path]:
    """A network that was trained alone, and where its weights are."""
    folder = tmp_path_factory.mktemp("alone")
    return learned(replace(recipe, save_weights=folder / "trunk.pt"), folder / "bundle"), folder / "trunk.pt"


@pytest.fixture(scope="module")
def together(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Learned, Steps, Path]:
    """A network that was trained alone and then with its branch, what was seen of it, and where its bundle would be."""
    out, steps = tmp_path_factory.mktemp("together") / "bundle", Steps()
    return learned(replace(recipe, joint=JOINT), out, steps), steps, out


def test_saved_weights_bring_back_the_network_with_its_normalisation(
    recipe: Recipe, saved: tuple[Learned, Path], tmp_path: Path
) -> None:
    made, file = saved
    again = learned(replace(recipe, train=None, weights=file), tmp_path / "bundle")
    assert torch.equal(weights(made), weights(again))
    samples = made.captured.examples
    assert torch.equal(made.captured.road(samples), again.captured.road(samples))


def test_training_with_weights_goes_on_from_them(recipe: Recipe, saved: tuple[Learned, Path], tmp_path: Path) -> None:
    made, file = saved
    still = replace(recipe, weights=file, train=replace(TRAIN, epochs=1, optimizer="sgd", rate=1e-9))
    assert torch.allclose(weights(learned(still, tmp_path / "bundle")), weights(made), atol=1e-6)


def test_branches_that_learned_with_the_network_are_handed_on(
    saved: tuple[Learned, Path], together: tuple[Learned, Steps, Path]
) -> None:
    assert saved[0].branches is None
    assert together[0].branches is not None
    assert list(together[0].branches) == [together[0].captured.position("first")]


def test_a_joint_training_goes_on_with_the_branches_that_its_weights_learned_with(
    recipe: Recipe, tmp_path: Path
) -> None:
    file = tmp_path / "together.pt"
    learned(replace(recipe, train=None, joint=JOINT, save_weights=file), tmp_path / "first")
    still = replace(recipe, train=None, joint=replace(JOINT, epochs=1, optimizer="sgd", rate=1e-9))
    assert torch.allclose(weights_of_branch(still, file, tmp_path / "going"), branch_weights(file), atol=1e-6)
    alone = tmp_path / "alone.pt"
    model = open_model(recipe.model, gather(recipe)[0].sample, 4)
    load_weights(model, file)
    save_weights(model, alone, mean=(), std=())
    assert not torch.allclose(weights_of_branch(still, alone, tmp_path / "anew"), branch_weights(file), atol=1e-2)


def weights_of_branch(recipe: Recipe, begun: Path, out: Path) -> Tensor:
    file = out.with_suffix(".pt")
    learned(replace(recipe, weights=begun, save_weights=file), out)
    return branch_weights(file)


def branch_weights(file: Path) -> Tensor:
    """Of the linear layer, behind its standardisation."""
    return branches_of(file)["first"].state["1.weight"]


def test_branches_ship_as_they_learned_unless_a_seed_asks_for_others(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "together.pt"
    first = learned(replace(recipe, train=None, joint=JOINT, save_weights=file), tmp_path / "first")
    still = replace(recipe, train=None, weights=file)
    again = learned(still, tmp_path / "again")
    assert shipped_weights(again) == shipped_weights(first)
    assert learned(replace(still, branch_seed=0), tmp_path / "again").branches is None
    assert learned(replace(still, branch_settings=BranchSettings(distill=0.5)), tmp_path / "again").branches is None
    assert learned(replace(still, branch_kind="sidenet"), tmp_path / "again").branches is None


def shipped_weights(found: Learned) -> list[list[float]]:
    assert found.branches is not None
    (network,) = found.branches.values()
    return [value.flatten().tolist() for value in network.state_dict().values()]


def test_branches_of_another_kind_begin_anew(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "together.pt"
    learned(replace(recipe, train=None, joint=JOINT, save_weights=file), tmp_path / "first")
    other = replace(recipe, train=None, weights=file, joint=JOINT, branch_kind="sidenet")
    assert learned(other, tmp_path / "bundle").branches is not None


def test_a_saved_branch_that_does_not_fit_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "together.pt"
    strange = LearnedBranch(kind="linear", variant=0, state={"weight": torch.zeros(1)})
    sources, _ = gather(recipe)
    model = open_model(recipe.model, sources.sample, 4)
    save_weights(model, file, mean=(), std=(), branches={"first": strange})
    with pytest.raises(ModelError, match="the linear branch that was saved for first does not fit there"):
        learned(replace(recipe, train=None, weights=file, joint=JOINT), tmp_path / "bundle")


@pytest.mark.parametrize("branches", [["first"], {"first": 3}, {"first": {"kind": "linear"}}, None])
def test_what_others_call_branches_in_their_files_is_left_alone(tmp_path: Path, branches: object) -> None:
    file = tmp_path / "theirs.pt"
    torch.save({"state_dict": Tiny().state_dict(), "branches": branches}, file)
    assert branches_of(file) == {}


def test_teachers_are_asked_before_anything_is_trained_and_named_in_the_bundle(
    recipe: Recipe, saved: tuple[Learned, Path], tmp_path: Path
) -> None:
    _, file = saved
    taught = replace(recipe, train=replace(TRAIN, epochs=1, teachers=(str(file),), taught=1.0), cuts="0")
    screen = Steps()
    with pytest.raises(ModelError, match="no weights at"):
        learned(replace(taught, joint=replace(JOINT, teachers=("nowhere.pt",))), tmp_path / "bundle", screen)
    assert screen.taken == 0
    told = build(taught, tmp_path / "bundle", Steps()).manifest.provenance
    assert told["teacher_1"].startswith(f"{recipe.model} trunk.pt sha256:")
    assert str(file.parent) not in str(told)


def test_each_training_of_a_bundle_has_a_checkpoint_of_its_own_beside_it(
    together: tuple[Learned, Steps, Path],
) -> None:
    out = together[2]
    assert sorted(out.parent.iterdir()) == sorted(checkpoints_of(out))


def test_what_was_interrupted_while_training_together_does_not_train_alone_again(
    recipe: Recipe, together: tuple[Learned, Steps, Path], tmp_path: Path
) -> None:
    whole, seen, _ = together
    an_epoch, rest = seen.taken // 4, Steps()
    both, out = replace(recipe, joint=JOINT), tmp_path / "bundle"
    with pytest.raises(KeyboardInterrupt):
        learned(both, out, Steps(stop=3 * an_epoch + 1))
    found = learned(both, out, rest)
    assert rest.taken == an_epoch
    assert torch.allclose(weights(found), weights(whole), atol=1e-6)


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
