"""The table of exits: in a bundle, as text, as a picture."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.bundle.exits import ExitPoint, ExitSet, ExitTable, exit_rule_text, read_exits, write_exits
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import BundleError
from offramp.inspect.command import BUNDLE
from offramp.inspect.exits_page import exits_page
from offramp.inspect.exits_plot import exits_svg
from tests.support.commands import called, refused
from tests.support.tiny_bundle import write_tiny_bundle


def a_point(name: str, *, macs: int, accuracy: float, split: bool = True) -> ExitPoint:
    return ExitPoint(
        name=name,
        split=split,
        macs=macs,
        accuracy=accuracy,
        threshold=0.9,
        leaves=0.4,
        trunk=macs * 1e-6,
        branch=2e-5,
        added=3e-5,
        mean=0.8e-3,
    )


def a_set(name: str, *pairs: tuple[str, float | None, float], mean: float) -> ExitSet:
    return ExitSet(
        name=name,
        points=tuple(point for point, _, _ in pairs),
        thresholds=tuple(threshold for _, threshold, _ in pairs),
        leaves=tuple(leaves for _, _, leaves in pairs),
        accuracy=0.905,
        mean=mean,
    )


def a_table() -> ExitTable:
    return ExitTable(
        kind="linear",
        policy="confidence",
        drop=0.005,
        samples=2_500,
        host="a board",
        full_accuracy=0.91,
        full_seconds=1e-3,
        macs=1_000,
        points=(
            a_point("stem", macs=100, accuracy=0.4),
            a_point("block1.relu", macs=300, accuracy=0.6, split=False),
            a_point("block1", macs=500, accuracy=0.8),
        ),
        sets=(
            a_set("searched", ("stem", 0.97, 0.1), ("block1", 0.85, 0.5), mean=0.7e-3),
            a_set("none", mean=1e-3),
        ),
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "tiny")


def test_a_table_comes_back_from_the_bundle_as_it_was_written(bundle: Bundle) -> None:
    write_exits(bundle, a_table())
    again = open_bundle(bundle.path)
    assert read_exits(again) == a_table()
    assert again.manifest.model_digest == bundle.manifest.model_digest


def test_a_bundle_without_a_search_says_how_to_make_one(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="build it with --branches search"):
        read_exits(bundle)


def test_reach_falls_by_those_who_left() -> None:
    assert a_table().chosen.reach() == pytest.approx((1.0, 0.9, 0.4))


def test_the_plan_asks_the_chosen_branches_at_their_thresholds() -> None:
    names = ["input", "stem", "block1", "output"]
    assert exit_rule_text(a_table(), names) == "split=end, exit=confidence:0.97@1/0.85@2"


def test_the_page_marks_what_was_chosen_and_what_lies_inside_a_block() -> None:
    lines = exits_page(a_table(), "mine", "split=end").splitlines()
    by_place = {line.removeprefix("▶").split()[0]: line for line in lines if "%" in line and line[:1] in "▶ "}
    assert [by_place[name].startswith("▶") for name in ("stem", "block1.relu", "block1")] == [True, False, True]
    assert "block1.relu *" in by_place["block1.relu"]
    assert [by_place[name].count("█") for name in ("stem", "block1.relu", "block1")] == sorted(
        by_place[name].count("█") for name in by_place if name in ("stem", "block1.relu", "block1")
    )


def test_the_picture_has_two_dots_for_each_place() -> None:
    drawn = ET.fromstring(exits_svg(a_table(), "mine <1>"))
    assert len(drawn.findall("{*}circle")) == 2 * len(a_table().points)


def test_the_command_prints_json_and_draws(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_exits(bundle, replace(a_table(), expected=0.6e-3))
    plot = tmp_path / "exits.svg"
    assert called(BUNDLE, "exits", str(bundle.path), "--json", "--plot", str(plot)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["expected"] == 0.6e-3
    assert said["plan"].startswith("split=end, exit=confidence:")
    assert plot.read_text(encoding="utf-8").startswith("<svg")
    assert "--plot exits.svg" in refused(BUNDLE, "exits", str(bundle.path), "--plot", str(tmp_path / "exits.png"))


def test_a_point_at_which_nobody_leaves_is_not_in_use() -> None:
    one = a_set("even:2", ("stem", None, 0.0), ("block1", 0.9, 0.4), mean=1e-3)
    assert one.in_use() == a_set("even:2", ("block1", 0.9, 0.4), mean=1e-3)
