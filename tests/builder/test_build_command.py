"""`offramp build`, as a user runs it: in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import open_bundle
from offramp.data.labels import relabelled
from offramp.errors import DataError, InputError, SettingsError
from offramp.planning.candidates import read_candidates
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.command import BUILD
from offramp_builder.joint.settings import JointSettings
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import load_recipe
from offramp_builder.recipe_flags import recipe_from
from offramp_builder.sources import gather
from tests.builder.learnable import bright_squares

DEMO = load_recipe("demo")


def offramp_build(*flags: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "offramp.cli", "build", *map(str, flags)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "squares.npz"
    data, test = bright_squares(300), bright_squares(100, seed=1)
    labels = np.array(data.labels)
    np.savez(path, x=data.samples, y=data.truth_N, x_test=test.samples, y_test=test.truth_N, labels=labels)
    return f"npz:{path}"


@pytest.fixture(scope="module")
def trained(squares: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A bundle that was built by the command, and what it printed."""
    out = tmp_path_factory.mktemp("bundles") / "squares"
    flags = ["--train", "4", "--batch", "32", "--cuts", "2", "--branches", "layer2,layer3", "--shift", "0", "--json"]
    done = offramp_build("--model", "zoo:resnet8", "--data", squares, "--out", out, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, json.loads(done.stdout)


def test_one_command_makes_a_bundle_with_everything_in_it(trained: tuple[Path, dict[str, object]]) -> None:
    out, said = trained
    manifest = open_bundle(out).manifest
    assert manifest.labels == bright_squares().labels
    assert [branch.kind for branch in manifest.branches] == ["linear", "linear"]
    assert all(cut.tensors[0].high > cut.tensors[0].low for cut in manifest.cuts[1:-1])
    assert manifest.provenance["split"] == "270 train, 30 calibration, 100 test"
    assert said["model_digest"] == manifest.model_digest


def test_the_bundle_is_as_good_as_it_says(trained: tuple[Path, dict[str, object]]) -> None:
    out, said = trained
    manifest = open_bundle(out).manifest
    assert isinstance(said["test_accuracy"], float)
    assert said["test_accuracy"] > 0.8
    assert manifest.provenance["test_accuracy"] == f"{said['test_accuracy']:.4f}"
    assert all(branch.accuracy is not None for branch in manifest.branches)


def test_plans_are_judged_with_the_bundle(trained: tuple[Path, dict[str, object]]) -> None:
    out, said = trained
    candidates = read_candidates(open_bundle(out))
    assert len(candidates.candidates) == said["candidates"]
    assert candidates.samples == 30


def test_no_training_is_left_lying_about(trained: tuple[Path, dict[str, object]]) -> None:
    assert [path.name for path in trained[0].parent.iterdir()] == ["squares"]


def test_an_untrained_bundle_says_so_and_states_no_accuracy(tmp_path: Path) -> None:
    done = offramp_build(
        "--model", "zoo:ecg_cnn", "--untrained", "--cuts", "0", "--branches", "1", "--out", tmp_path / "b"
    )
    assert done.returncode == 0
    assert "warning: the network is untrained" in done.stderr
    manifest = open_bundle(tmp_path / "b").manifest
    assert manifest.final_accuracy is None
    assert [branch.accuracy for branch in manifest.branches] == [None]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "zoo:resnet8"], "give --weights FILE, --train EPOCHS or --joint LOSS"),
        ([], "nothing to build; give --model"),
        (["--model", "zoo:resnet8", "--train", "3"], "training needs samples; give --data"),
        (["--model", "zoo:resnet8", "--batch", "3", "--untrained"], None),
        (["--model", "zoo:resnet8", "--batch", "3", "--weights", "w.pt"], "--batch belongs to training"),
        (["--model", "zoo:resnet8", "--untrained", "--train", "3"], "--untrained contradicts"),
        (["--model", "zoo:resnet8", "--untrained", "--input-size", "big"], "'big' is no input size"),
        (["--model", "zoo:resnet8", "--untrained", "--mean", "half"], "--mean 'half' is no list of numbers"),
        (["--model", "zoo:resnet8", "--untrained", "--labels", "cat"], "names 1 class"),
        (["--recipe", "dmeo"], "did you mean 'demo'"),
        (["--model", "zoo:resnet8", "--joint", "eenet", "--data", "npz:x"], "did you mean 'eenets'"),
        (["--model", "zoo:resnet8", "--joint-rate", "1", "--weights", "w.pt"], "give --joint LOSS"),
        (["--model", "zoo:resnet8", "--joint", "eenets"], "training needs samples; give --data"),
        (["--model", "zoo:resnet8", "--untrained", "--joint", "eenets"], "--untrained contradicts"),
        (["--model", "zoo:resnet8", "--weights", "w.pt", "--save-weights", "v.pt"], "no new weights to save"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused_with_the_way_out(flags: list[str], message: str | None) -> None:
    if message is None:
        assert recipe_of(*flags).train is None
        return
    with pytest.raises(InputError, match=message):
        recipe_of(*flags)


def recipe_of(*flags: str) -> Recipe:
    parser = argparse.ArgumentParser()
    BUILD.configure(parser)
    return recipe_from(parser.parse_args([*flags, "--out", "somewhere"]))


def test_flags_override_the_recipe_they_begin_with() -> None:
    assert recipe_of("--recipe", "demo") == DEMO
    changed = recipe_of("--recipe", "demo", "--train", "2", "--branches", "none", "--seed", "7")
    assert changed.train is not None
    assert DEMO.train is not None
    assert changed.train == replace(DEMO.train, epochs=2, seed=7)
    assert changed == replace(DEMO, train=changed.train, branches="none", seed=7)


def test_flags_about_branches_add_to_those_of_the_recipe() -> None:
    changed = recipe_of("--recipe", "demo", "--branch-kind", "eenets", "--distill", "0.25", "--cost-weight", "3")
    assert changed.branch_kind == "eenets"
    assert changed.branch_settings == replace(DEMO.branch_settings, distill=0.25, cost_weight=3.0)
    with pytest.raises(InputError, match="distill 2.0 is a share"):
        recipe_of("--recipe", "demo", "--distill", "2")


def small_first(folder: Path, training: str) -> str:
    """A recipe of a training that begins with 32 epochs on shrunk pictures."""
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f'model = "zoo:resnet8"\ndata = "npz:x"\n{training}\nsmall_first = [[20, 20], [12, 24]]\n', encoding="utf-8"
    )
    return str(recipe)


def test_weights_stand_in_the_place_of_a_recipes_training_unless_it_is_asked_for() -> None:
    assert recipe_of("--recipe", "demo", "--weights", "w.pt").train is None
    tuned = recipe_of("--recipe", "demo", "--weights", "w.pt", "--train", "2").train
    assert tuned is not None
    assert DEMO.train is not None
    assert tuned == replace(DEMO.train, epochs=2)


def test_fewer_epochs_than_a_recipe_has_on_shrunk_pictures_are_refused_and_none_may_be_asked_for(
    tmp_path: Path,
) -> None:
    recipe = small_first(tmp_path, "[train]\nepochs = 41")
    with pytest.raises(SettingsError, match="32 epochs on shrunk pictures, which leaves none of 5 at full size"):
        recipe_of("--recipe", recipe, "--train", "5")
    short = recipe_of("--recipe", recipe, "--train", "5", "--small-first", "none").train
    assert short is not None
    assert (short.epochs, short.small_first) == (5, ())


def test_joint_training_may_be_asked_for_alone_or_after_the_networks_own() -> None:
    alone = recipe_of("--model", "zoo:resnet8", "--data", "npz:x", "--joint", "branchynet", "--joint-epochs", "30")
    assert alone.train is None
    assert alone.joint == JointSettings(loss="branchynet", epochs=30)
    after = recipe_of("--recipe", "demo", "--joint", "distill", "--joint-rate", "0.01", "--seed", "3")
    assert after.train is not None
    assert after.joint == JointSettings(
        loss="distill", epochs=10, rate=0.01, seed=3, batch=64, optimizer="adamw", shift=0.08
    )


def test_flags_of_any_training_hold_for_a_recipes_joint_one_too() -> None:
    flags = ["--weights", "w.pt", "--optimizer", "adamw", "--batch", "32"]
    joint = recipe_of("--recipe", "cifar10-resnet20-together", *flags).joint
    assert joint is not None
    assert (joint.optimizer, joint.batch, joint.loss) == ("adamw", 32, "distill")


def test_flags_of_the_network_alone_are_not_taken_for_a_recipes_joint_training() -> None:
    with pytest.raises(SettingsError, match="rate belongs to training; give --train EPOCHS"):
        recipe_of("--recipe", "cifar10-resnet20-together", "--weights", "w.pt", "--learning-rate", "1", "--batch", "32")


def test_small_pictures_come_first_in_the_training_that_comes_first(tmp_path: Path) -> None:
    recipe = small_first(tmp_path, '[joint]\nloss = "distill"\nepochs = 41')
    flags = ["--recipe", recipe, "--weights", "w.pt", "--small-first", "4x24"]
    joint = recipe_of(*flags).joint
    assert joint is not None
    assert joint.small_first == ((4, 24),)
    both = recipe_of(*flags, "--train", "9")
    assert both.train is not None
    assert both.joint is not None
    assert (both.train.small_first, both.joint.small_first) == (((4, 24),), ((20, 20), (12, 24)))


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--batch", "32"), "--batch"),
        (("--learning-rate", "1"), "--learning-rate"),
        (("--small-first", "4x24"), "--small-first"),
    ],
)
def test_what_weights_leave_nothing_to_do_for_is_refused(flags: tuple[str, ...], named: str) -> None:
    with pytest.raises(SettingsError, match=f"stand in the place of training: {named} belongs to training"):
        recipe_of("--recipe", "demo", "--weights", "w.pt", *flags)


def test_a_teacher_has_a_pupil() -> None:
    given = ("--recipe", "cifar10-resnet20", "--weights", "w.pt", "--teacher", "t.pt")
    with pytest.raises(SettingsError, match="--teacher belongs to training; give --train EPOCHS too"):
        recipe_of(*given)
    alone = recipe_of(*given, "--train", "40").train
    joint = recipe_of("--recipe", "cifar10-resnet20-together", "--weights", "w.pt", "--teacher", "t.pt").joint
    assert alone is not None
    assert joint is not None
    assert alone.teachers == joint.teachers == ("t.pt",)


def test_a_joint_loss_brings_the_only_kind_of_branch_that_it_teaches() -> None:
    assert recipe_of("--model", "zoo:resnet8", "--data", "npz:x", "--joint", "eenets").branch_kind == "eenets"
    assert recipe_of("--recipe", "demo", "--joint", "exclusion").branch_kind == "conv"


def test_branches_may_have_a_seed_of_their_own() -> None:
    assert recipe_of("--recipe", "demo", "--seed", "7").seed_of_branches == 7
    changed = recipe_of("--recipe", "demo", "--branch-seed", "3")
    assert (changed.seed, changed.seed_of_branches) == (DEMO.seed, 3)


def test_help_lists_every_kind_of_branch() -> None:
    parser = argparse.ArgumentParser()
    BUILD.configure(parser)
    text = parser.format_help()
    assert all(kind in text for kind in BRANCH_KINDS)


@pytest.mark.parametrize(
    ("text", "shape"), [("32", (32, 32, 3)), ("32x40", (32, 40, 3)), ("32x40x1", (32, 40, 1)), ("16000x", (16_000,))]
)
def test_input_sizes_read_as_people_write_them(text: str, shape: tuple[int, ...]) -> None:
    assert recipe_of("--model", "zoo:resnet8", "--untrained", "--input-size", text).shape == shape


def test_wrong_input_ends_with_2_and_one_line(tmp_path: Path, squares: str) -> None:
    done = offramp_build(
        "--model", "zoo:resnet8", "--data", squares, "--train", "1", "--cuts", "layer7", "--out", tmp_path / "b"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("offramp: there is no cut 'layer7'; did you mean 'layer")
    assert "Traceback" not in done.stderr


def test_labels_that_hold_the_datas_names_give_their_order() -> None:
    data = bright_squares(40)
    names = ("floor", *reversed(data.labels))
    again = relabelled(data, names)
    assert [names[truth] for truth in again.truth_N] == [data.labels[truth] for truth in data.truth_N]
    assert relabelled(data, ("a", "b", "c", "d")).truth_N.tolist() == data.truth_N.tolist()
    with pytest.raises(DataError, match="'upper left' is none of the 2 labels"):
        relabelled(data, ("a", "b"))


def test_without_data_the_zoo_or_a_size_says_what_the_network_takes() -> None:
    speed = Recipe(model="zoo:ds_cnn", untrained=True)
    assert gather(speed)[0].sample.shape == (16_000,)
    mine = Recipe(model="mine:make", untrained=True, shape=(500,), kind="ecg")
    assert gather(mine)[0].sample.dtype == "float32"
    with pytest.raises(InputError, match="nothing says what mine:make takes"):
        gather(Recipe(model="mine:make", untrained=True))
    with pytest.raises(SettingsError, match="there is no kind of sample 'picture'"):
        gather(Recipe(model="mine:make", untrained=True, shape=(8, 8, 3), kind="picture"))


def test_training_here_takes_mean_and_deviation_from_the_data(squares: str) -> None:
    data = bright_squares(300)
    found, _ = gather(recipe_of("--model", "zoo:resnet8", "--data", squares, "--train", "1"))
    values = data.samples.reshape(-1, 3) / 255
    assert found.mean == pytest.approx(values.mean(0), abs=0.02)
    assert found.std == pytest.approx(values.std(0), abs=0.02)
