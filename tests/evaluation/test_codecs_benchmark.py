"""The benchmark of codecs: who is better than whom, at how many bytes.

# N samples, K classes, S fused scores
"""

import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.codecs import chapter
from benchmarks.codecs.__main__ import claims_of
from benchmarks.codecs.figure import DARK, LIGHT, draw, families
from benchmarks.codecs.spots import Choice, Spot, cheapest, choose_for_each, duels, front
from benchmarks.codecs.tasks import TASKS
from offramp.errors import InputError


def a_spot(codec: str, payload: float, accuracy: float, *, split: int = 1, operations: float = 0.4) -> Spot:
    return Spot(
        split=split,
        codec=codec,
        operations=operations if split else 0.0,
        payload=payload,
        wire=payload + 56,
        accuracy=accuracy,
        alike=accuracy,
    )


SPOTS = [
    a_spot("nested/affine2:4", 16, 0.80),
    a_spot("nested/affine4:8", 64, 0.90),
    a_spot("nested/affine8", 512, 0.89),
    a_spot("jpeg:5", 400, 0.60, split=0),
    a_spot("jpeg:90", 1_000, 0.90, split=0),
    a_spot("affine2c+range", 900, 0.85),
    a_spot("affine8+zstd", 6_000, 0.91),
]


def test_the_front_has_what_nothing_cheaper_is_as_good_as() -> None:
    assert [spot.payload for spot in front(SPOTS)] == [16, 64, 6_000]


def test_the_cheapest_at_an_accuracy_is_found_or_nothing_is() -> None:
    found = cheapest(SPOTS, 0.85)
    assert found is not None
    assert found.payload == 64
    assert cheapest(SPOTS, 0.95) is None


def test_each_learned_rate_is_held_against_the_cheapest_that_is_as_accurate() -> None:
    assert [(duel.spot.payload, duel.ratio) for duel in duels(SPOTS, half=0.5)] == [(16, 900 / 16), (64, 1_000 / 64)]


def test_splits_behind_half_of_the_operations_do_not_count() -> None:
    late = [replace(spot, operations=0.6) if spot.learned else spot for spot in SPOTS]
    assert not duels(late, half=0.5)


class SomeTape:
    """A cheap codec that is right where the branch is sure, and a dear one that is always right."""

    def __init__(self, count: int = 200) -> None:
        self.truth_N = np.zeros(count, np.int64)
        self.sure_N = np.linspace(0, 1, count, dtype=np.float32)

    def rows(self, _subset: str) -> slice:
        return slice(0, len(self.truth_N))

    def branch(self, _cut: int) -> Any:
        return SimpleNamespace(scores_NS=self.sure_N[:, None])

    def answer(self, _split: int, codec: str) -> Any:
        wrong_N = (self.sure_N < 0.3) if codec == "cheap" else np.zeros(len(self.truth_N), bool)
        return SimpleNamespace(label_N=wrong_N.astype(np.int64))

    def payload_bytes(self, _split: int, codec: str) -> Any:
        return np.full(len(self.truth_N), 10 if codec == "cheap" else 100, np.uint32)


def test_rates_of_samples_are_chosen_where_the_branch_doubts() -> None:
    tape: Any = SomeTape()
    found = choose_for_each(tape, 1, ["cheap", "dear"], 1, least=1.0)
    assert found is not None
    assert (found.first, found.second, found.fixed) == ("cheap", "dear", "dear")
    assert found.threshold == pytest.approx(0.3, abs=0.02)
    assert found.saved == pytest.approx(0.62, abs=0.03)


def test_where_no_rate_is_good_enough_none_is_chosen() -> None:
    tape: Any = SomeTape()
    assert choose_for_each(tape, 1, ["cheap"], 1, least=0.9) is None


def a_record(**changed: Any) -> dict[str, Any]:
    choice = Choice(
        branch=1, threshold=0.5, first="a", second="b", payload=40.0, accuracy=0.9, fixed="b", fixed_payload=64.0
    )
    return {
        "task": "cifar10",
        "data": {"spec": "cifar10:DIR", "test": 100},
        "macs": 40_000_000,
        "whole": 0.905,
        "cuts": ["input", "middle", "output"],
        "features": [3_072, 32_768, 40],
        "jpeg": 1_000.0,
        "spots": [asdict(spot) for spot in SPOTS],
        "choice": asdict(choice),
        "times": [{"split": 1, "codec": "nested/affine4:8", "encode": 2e-5, "decode": 3e-5, "head": 4e-4}],
        "singles": [{"sent": 8, "bits": 4, "shared": 0.90, "alone": 0.91, "nbytes": 64}],
        "singles_taught": "a pass over all samples",
        "machine": {"host": "a machine"},
    } | changed


def test_claims_are_those_of_the_record() -> None:
    held = {
        claim.name.partition(": ")[2]: (claim.found, claim.holds) for claim in claims_of(TASKS["cifar10"], a_record())
    }
    assert held["payload within 1 point"] == (64, True)
    assert held["over the float32 feature"] == (512, True)
    assert held["points where nothing else is as good"] == (2, False)
    assert held["behind one for the rate alone"][1] is False
    assert held["saved by choosing"] == (pytest.approx(0.375), True)


def test_a_network_that_no_code_comes_near_is_said_to_be_so() -> None:
    assert "**No learned codec is within 1 point of the whole network**" in chapter.chapter([a_record(whole=0.95)])


def test_the_chapter_holds_codes_against_all_four_sizes() -> None:
    (line,) = [line for line in chapter.chapter([a_record()]).splitlines() if "nested/affine4:8`**" in line]
    assert [cell.strip(" *") for cell in line.split("|")][-5:-1] == ["512.0", "128.0", "48.0", "15.6"]


def test_the_chapter_stands_between_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(f"before\n{chapter.BEGIN}\nold\n{chapter.END}\nafter\n")
    for name, value in (("PAGE", page), ("RECORDS", tmp_path), ("FIGURES", tmp_path)):
        monkeypatch.setattr(chapter, name, value)
    chapter.write_chapter()
    assert page.read_text() == f"before\n{chapter.BEGIN}\n\n\n{chapter.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(InputError, match="lacks the lines"):
        chapter.write_chapter()


def test_figures_have_a_line_for_each_family_on_light_and_dark_pages() -> None:
    lines = families(SPOTS, ["input", "middle", "output"])
    assert list(lines) == ["learned: nested", "jpeg", "plain at middle"]
    light, dark = (draw(lines, 0.905, "a title", page, below=0.4).decode() for page in (LIGHT, DARK))
    assert LIGHT.paper in light
    assert DARK.paper in dark
    assert len(re.findall("learned: nested", light)) == 1
