"""Recipes in TOML: what can be written, and what is refused with the file, the key and the way out."""

from dataclasses import fields
from pathlib import Path

import pytest

from offramp.errors import SettingsError
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.recipe import Recipe
from offramp_builder.recipe_file import load_recipe, read_recipe, shipped_recipes
from offramp_builder.training.settings import TrainSettings


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


WHOLE = """
model = "mine:make"
data = "folder:pictures"
weights = "mine.pt"
shape = [32, 40, 3]
mean = [0.5, 0, 1]
labels = ["cat", "dog"]
cuts = 4
seed = 7

[train]
epochs = 3
rate = 1
small_first = [[1, 16], [1, 24]]
flip = false

[branch_settings]
distill = 0.25
"""


def test_every_kind_of_value_can_be_written(written: Path) -> None:
    written.write_text(WHOLE)
    assert load_recipe(str(written)) == Recipe(
        model="mine:make",
        data="folder:pictures",
        weights=Path("mine.pt"),
        shape=(32, 40, 3),
        mean=(0.5, 0.0, 1.0),
        labels=("cat", "dog"),
        cuts="4",
        seed=7,
        train=TrainSettings(epochs=3, rate=1.0, small_first=((1, 16), (1, 24)), flip=False, seed=7),
        branch_settings=BranchSettings(distill=0.25),
    )


def test_a_table_may_have_a_seed_of_its_own(written: Path) -> None:
    written.write_text('model = "m:f"\ndata = "npz:x"\nseed = 7\n[train]\nepochs = 1\nseed = 3')
    train = load_recipe(str(written)).train
    assert train is not None
    assert train.seed == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = ", "mine.toml is not TOML"),
        ('modl = "zoo:resnet8"', "mine.toml: there is no key 'modl'; did you mean 'model'"),
        ("[train]\nepochs = 1\nrat = 0.1", r"mine.toml: \[train\]: there is no key 'rat'; did you mean 'rate'"),
        ("[train]\nrate = 0.1", r"mine.toml: \[train\] lacks epochs"),
        ("[train]\nepochs = 0", r"mine.toml: \[train\]: training takes at least 1 epoch"),
        ('[train]\nepochs = "ten"', r"mine.toml: \[train\]: epochs = 'ten' should be a whole number"),
        ("[train]\nepochs = 1\nflip = 1", "flip = 1 should be true or false"),
        ("[train]\nepochs = 1\nsmall_first = [[1]]", "small_first has .1., where 2 values belong together"),
        ("model = 3.5", "model = 3.5 should be text"),
        ('mean = "half"', r"mean = 'half' should be a list; write mean = \['half'\]"),
        ("labels = [true, false]", "labels = True should be text"),
        ("train = 3", r"train = 3 should be a table; write \[train\]"),
    ],
)
def test_what_has_no_meaning_is_refused_by_file_and_key(written: Path, text: str, message: str) -> None:
    written.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_recipe(str(written))


def test_a_recipe_that_is_not_there_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no recipe 'dmeo'; did you mean 'demo'"):
        read_recipe("dmeo")
    with pytest.raises(SettingsError, match="none.toml cannot be read: No such file"):
        read_recipe(str(tmp_path / "none.toml"))


def test_every_field_of_a_recipe_is_read_by_its_type(written: Path) -> None:
    """A field whose type the reader does not know would fail only for the user who writes it."""
    for field in fields(Recipe):
        written.write_text(f"{field.name} = 1979-05-27")
        with pytest.raises(SettingsError, match=f"{field.name} = .* should be"):
            read_recipe(str(written))


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_whole_and_says_what_it_is_for(name: str) -> None:
    summary, given = shipped_recipes()[name], read_recipe(name)
    if not {"train", "joint"} & set(given):
        assert "--weights" in summary  # for a network that has learned
        given["weights"] = Path("w.pt")
    assert Recipe(**given).name
    assert len(summary) > 20
