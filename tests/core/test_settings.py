import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from offramp.errors import SettingsError
from offramp.settings import Loaded, add_flags, load, setting
from offramp.units import BitsPerSecond, Bytes, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class KitchenSettings:
    deadline: Seconds = setting(Seconds(1.0), "answer within this time")
    queue_bytes: Bytes = setting(Bytes(1000), "at most 100 % of this waits")
    rate: BitsPerSecond | None = setting(None, "of the uplink")
    cooks: int = setting(2, "at work")
    salt: float = setting(0.5, "in spoons")
    hot: bool = setting(False, "turn the oven on")
    pans: tuple[Path, ...] = setting((), "to use")


def loaded(
    *flags: str, toml: str | None = None, folder: Path | None = None, **environment: str
) -> Loaded[KitchenSettings]:
    parser = argparse.ArgumentParser()
    add_flags(parser, KitchenSettings, "kitchen")
    arguments = list(flags)
    if toml is not None and folder is not None:
        (folder / "offramp.toml").write_text(toml, encoding="utf-8")
        arguments += ["--settings", str(folder / "offramp.toml")]
    return load(KitchenSettings, "kitchen", parser.parse_args(arguments), environment)


def test_defaults_stand_where_nothing_is_said() -> None:
    found = loaded()
    assert found.value == KitchenSettings()
    assert set(found.origin.values()) == {"default"}


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    toml = "[kitchen]\ncooks = 3\nsalt = 0.1\ndeadline = '30ms'\n[other]\nx = 1\n"
    found = loaded("--cooks", "5", toml=toml, folder=tmp_path, OFFRAMP_KITCHEN_COOKS="4", OFFRAMP_KITCHEN_SALT="0.2")
    assert (found.value.cooks, found.value.salt, found.value.deadline) == (5, 0.2, 0.03)
    assert found.origin["cooks"] == "--cooks"
    assert found.origin["salt"] == "OFFRAMP_KITCHEN_SALT"
    assert found.origin["deadline"].endswith("offramp.toml")
    assert found.origin["rate"] == "default"


def test_every_kind_of_value_is_read_from_text() -> None:
    flags = "--deadline 2s --queue-bytes 4kib --rate 2mbit --hot --pans a,b --pans c"
    assert loaded(*flags.split()).value == KitchenSettings(
        deadline=Seconds(2.0),
        queue_bytes=Bytes(4096),
        rate=BitsPerSecond(2e6),
        hot=True,
        pans=(Path("a"), Path("b"), Path("c")),
    )


def test_a_flag_may_take_back_what_the_file_set(tmp_path: Path) -> None:
    toml = "[kitchen]\nhot = true\nrate = '1mbit'\npans = ['a', 'b']\n"
    assert loaded(toml=toml, folder=tmp_path).value.pans == (Path("a"), Path("b"))
    found = loaded("--no-hot", "--rate", "none", toml=toml, folder=tmp_path)
    assert (found.value.hot, found.value.rate) == (False, None)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[kitchen]\ncoks = 3", r"no setting of \[kitchen\] 'coks'; did you mean 'cooks'"),
        ("[kitchen]\ncooks = 'many'", r"cooks \(.*offramp.toml\): 'many' is not a whole number"),
        ("[kitchen]\ncooks = 2.5", "2.5 is not a whole number"),
        ("[kitchen]\nsalt = 'much'", "'much' is not a number"),
        ("[kitchen]\ndeadline = 3", "is not a duration such as"),
        ("[kitchen]\nhot = 'maybe'", "'maybe' is neither true nor false"),
        ("kitchen = 3", r"write a table \[kitchen\]"),
        ("[kitchen", "is not TOML"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        loaded(toml=toml, folder=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.toml cannot be read: No such file"):
        loaded("--settings", str(tmp_path / "nowhere.toml"))


def test_a_misspelt_variable_is_told_the_near_miss() -> None:
    with pytest.raises(SettingsError, match="did you mean 'OFFRAMP_KITCHEN_COOKS'"):
        loaded(OFFRAMP_KITCHEN_COOK="3")


def test_the_variables_of_other_roles_are_left_alone() -> None:
    assert loaded(OFFRAMP_CELLAR_COOKS="3", COOKS="4").value == KitchenSettings()


def test_the_description_says_where_each_value_came_from() -> None:
    lines = loaded("--cooks", "7").describe().splitlines()
    assert any(line.split() == ["cooks", "7", "#", "--cooks"] for line in lines)
    assert any(line.split() == ["hot", "False", "#", "default"] for line in lines)


def test_help_shows_each_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        loaded("--help")
    shown = capsys.readouterr().out
    assert "--queue-bytes" in shown
    assert "at most 100 % of this" in shown
    assert "(default: none)" in shown
