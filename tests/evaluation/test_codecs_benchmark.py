"""The benchmark of codecs: who is better than whom, at how many bytes."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.codecs import chapter
from benchmarks.codecs.claims import claims_of
from benchmarks.codecs.figure import DARK, LIGHT, draw, families
from benchmarks.codecs.live import worth_performing
from benchmarks.codecs.spots import Spot, cheapest, duels, front
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


def a_contest(link: str, ours: float, learning: float, *, raw: float = 60.0, board: float = 20.0) -> dict[str, Any]:
    """Milliseconds with all codecs, without learned ones, and without any."""
    times = {"all": ours, "unlearned": learning, "raw": raw}

    def side(mean: float) -> dict[str, Any]:
        plan = f"split=0, codec=jpeg:{mean:.0f}"
        return {"mean": mean / 1e3, "p95": 0.1, "accuracy": 0.9, "bytes": 100.0, "sent": 1.0, "plan": plan}

    def apart(mean: float) -> dict[str, float]:
        difference = (ours - mean) / 1e3
        return {"difference": difference, "low": 1.1 * difference, "high": 0.9 * difference}

    return {
        "link": link,
        "board": board,
        "drop": 0.01,
        "sides": {name: side(mean) for name, mean in times.items()},
        "against": {name: apart(mean) for name, mean in times.items() if name != "all"},
    }


def a_point(saved: float) -> dict[str, Any]:
    way = {"accuracy": 0.9, "bytes": 40.0, "saved": saved, "low": saved - 0.05, "high": saved + 0.05}
    followed = way | {"plan": "split=1", "latency": [0.030], "rival": "b", "rival_latency": [0.033]}
    ways = dict.fromkeys(("two", "exit", "both"), followed) | dict.fromkeys(("many", "many-exit"), way)
    return {"codec": "b", "accuracy": 0.9, "bytes": 64.0, "latency": [0.033], "ways": ways}


def a_plan_near(nbytes: float, *, split: int) -> dict[str, Any]:
    """To the whole network."""
    lost = {"lost": 0.006, "low": 0.002, "high": 0.01}
    return lost | {"plan": f"split={split}", "split": 1, "bytes": nbytes, "sent": 0.4, "operations": 0.47}


def a_record(**changed: Any) -> dict[str, Any]:
    return {
        "task": "cifar10",
        "data": {"spec": "cifar10:DIR", "test": 100},
        "macs": 40_000_000,
        "whole": 0.905,
        "cuts": ["input", "middle", "output"],
        "features": [3_072, 32_768, 40],
        "jpeg": 1_000.0,
        "spots": [asdict(spot) for spot in SPOTS],
        "contests": [a_contest("250kbit,10ms", 30.0, 40.0), a_contest("5mbit,10ms", 30.0, 30.0)],
        "choices": {
            "split": 1,
            "board": 20.0,
            "links": ["1mbit,10ms"],
            "points": [a_point(0.30), a_point(0.40)],
            "own": [a_point(0.50)["ways"]["two"] | {"codec": "nested/affine2:sure9"}],
        },
        "within": {"all": a_plan_near(90.0, split=1), "unlearned": a_plan_near(200.0, split=2)},
        "windows": [{"link": "5mbit,10ms", "codec": "nested/affine4:8", "rival": "jpeg:90", "from": 41.0, "to": 3.0}],
        "hosts": {"whole": 1.5e-3},
        "rate": 8.0,
        "times": [{"split": 1, "codec": "nested/affine4:8", "encode": 2e-5, "decode": 3e-5, "head": 4e-4}],
        "singles": [
            {"sent": 8, "bits": 4, "nbytes": 64, "shared": 0.90, "onward": 0.90, "alone": 0.91, "low": 0, "high": 0.02}
        ],
        "singles_taught": "100 samples",
        "machine": {"host": "a machine"},
    } | changed


def test_claims_are_those_of_the_record() -> None:
    held = {
        claim.name.partition(": ")[2]: (claim.found, claim.holds) for claim in claims_of(TASKS["cifar10"], a_record())
    }
    assert held["payload within 1 point"] == (64, True)
    assert held["over the float32 feature"] == (512, True)
    assert held["points where nothing else is as good"] == (2, False)
    assert held["with exits, payload within 1 point"] == (90, True)
    assert held["with exits, over float32 within 1 point"] == (pytest.approx(364.1, abs=0.1), True)
    assert held["behind one for the rate alone"][1] is False
    assert held["saved by two rates"] == (pytest.approx(0.35), True)
    assert held["saved by a rate that the code chooses"] == (pytest.approx(0.5), True)
    assert held["gained over 250kbit,10ms by learning"] == (pytest.approx(0.25), True)
    assert held["gained over 5mbit,10ms by learning"] == (0.0, False)
    assert held["gained over 5mbit,10ms by compressing"] == (pytest.approx(0.5), True)


def test_a_network_that_no_code_comes_near_is_said_to_be_so() -> None:
    assert "**No learned codec is within 1 point of the whole network**" in chapter.chapter([a_record(whole=0.95)])


def test_the_chapter_tells_what_exits_and_codes_need_together() -> None:
    lines = chapter.chapter([a_record()]).splitlines()
    assert "| before the split | all codecs | `split=1` | 47 | 40 | 90 | 364 | 0.60 (0.20 to 1.00) |" in lines
    assert (
        "| before the split | without learned ones | `split=2` | 47 | 40 | 200 | 164 | 0.60 (0.20 to 1.00) |" in lines
    )


def test_what_half_means_is_told_and_claimed_apart() -> None:
    record = a_record(on_average={"all": a_plan_near(50.0, split=4)})
    assert "| executed on average | all codecs | `split=4` | 47 | 40 | 50 | 655 | 0.60 (0.20 to 1.00) |" in (
        chapter.chapter([record]).splitlines()
    )
    found = {claim.name.partition(": ")[2]: claim.found for claim in claims_of(TASKS["cifar10"], record)}
    assert found["with exits, payload within 1 point"] == 90
    assert found["with exits, half executed on average, payload within 1 point"] == 50


def test_a_plan_that_sends_nothing_needs_no_bytes_however_large_the_feature() -> None:
    lines = chapter.chapter([a_record(within={"all": a_plan_near(0.0, split=1)})]).splitlines()
    assert "| before the split | all codecs | `split=1` | 47 | 40 | 0 | inf | 0.60 (0.20 to 1.00) |" in lines


def test_sides_that_need_the_same_plan_share_a_line_there_too() -> None:
    alike = dict.fromkeys(("all", "unlearned"), a_plan_near(90.0, split=1))
    lines = chapter.chapter([a_record(within=alike)]).splitlines()
    assert (
        "| before the split | all codecs; without learned ones | `split=1` | 47 | 40 | 90 | 364 | 0.60 (0.20 to 1.00) |"
        in lines
    )


def test_the_chapter_holds_codes_against_all_four_sizes() -> None:
    (line,) = [line for line in chapter.chapter([a_record()]).splitlines() if "nested/affine4:8`**" in line]
    assert [cell.strip(" *") for cell in line.split("|")][-5:-1] == ["512.0", "128.0", "48.0", "15.6"]


def test_the_chapter_marks_where_learned_codecs_gain() -> None:
    lines = chapter.chapter([a_record()]).splitlines()
    assert "| 250kbit,10ms | 20 × | **30.0, -50, -25** |" in lines
    assert "| 5mbit,10ms | 20 × | 30.0, -50, 0 |" in lines


def test_the_chapter_tells_what_a_code_saves_that_chooses_its_rate() -> None:
    lines = chapter.chapter([a_record()]).splitlines()
    assert "| `nested/affine2:sure9` | 90.00 | 40 | 50 % (45 to 55) | `b` | 30.0 to 33.0 |" in lines


def test_the_chapter_marks_rates_at_which_one_for_all_is_behind() -> None:
    assert any("**+1.00 (+0.00 to +2.00)**" in line for line in chapter.chapter([a_record()]).splitlines())


def test_sides_with_the_same_plan_share_a_line() -> None:
    (line,) = [line for line in chapter.chapter([a_record()]).splitlines() if "all codecs; without learned" in line]
    assert line.startswith("| 5mbit,10ms |")


def test_the_chapter_tells_where_no_board_has_a_use_for_codes() -> None:
    assert "| 5mbit,10ms | from 41 × | up to 3 × | none |" in chapter.chapter([a_record()]).splitlines()


def test_what_was_not_measured_is_not_in_the_chapter() -> None:
    bare = {name: value for name, value in a_record().items() if name not in ("contests", "choices", "singles")}
    assert "####" not in chapter.chapter([bare])


def test_that_contest_is_performed_in_which_learning_gains_most() -> None:
    contests = [a_contest("slow", 30, 40), a_contest("fast", 30, 31), a_contest("fast", 30, 35, board=50)]
    assert worth_performing(contests, "fast")["board"] == 50
    alike = [a_contest("fast", 30, 30), a_contest("fast", 30, 30, raw=90, board=50)]
    assert worth_performing(alike, "fast")["board"] == 50


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
