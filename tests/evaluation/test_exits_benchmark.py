"""The benchmark of exit policies: tuned on one part, judged on another, all seeds in one row."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.exits import chapter, subjects
from benchmarks.exits.contest import (
    Score,
    Subject,
    at_loss,
    compete,
    confidences,
    instance_policies,
    temporal_policies,
    without_order,
)
from benchmarks.exits.curves import curves_of, draw
from benchmarks.exits.references import Reference, smallest_within
from benchmarks.exits.rows import Spread, best_of, rivals, rows_of
from benchmarks.exits.tasks import SURE, TASKS, Task, macro_f1
from offramp.errors import InputError
from offramp.exits.catalog import POLICIES
from offramp.exits.charge import Charge
from offramp.exits.walk import STAYED, Walked
from tests.support.evidence import some_evidence

IMAGES = Task(name="images", title="pictures", recipe="none", drop=0.01)
STREAMS = Task(name="streams", title="streams", recipe="none", drop=0.02, classes=3, streams=True)


def a_subject(samples: int = 300, *, group: int = 1) -> Subject:
    charge = Charge(before={1: 10.0, 2: 40.0}, branch={1: 1.0, 2: 2.0}, whole=100.0)
    return Subject(
        name="seeded",
        seed=0,
        charge=charge,
        final_temperature=1.0,
        calibration=some_evidence(samples, seed=1, group=group),
        test=some_evidence(samples, seed=2, group=group, subset="test"),
    )


@pytest.fixture(scope="module")
def scores() -> list[dict[str, Any]]:
    return [asdict(score) for score in compete(a_subject(), IMAGES)]


def test_every_policy_of_the_catalogue_takes_part() -> None:
    subject = a_subject()
    branches_have_no_confidence_of_their_own = {"own"}
    assert {*instance_policies(subject), *temporal_policies()} == {*POLICIES} - branches_have_no_confidence_of_their_own


def test_the_network_without_exits_comes_first_and_costs_all(scores: list[dict[str, Any]]) -> None:
    assert (scores[0]["policy"], scores[0]["operations"], scores[0]["lost"]) == ("none", 1.0, 0.0)


def test_shares_of_those_who_leave_and_operations_belong_together(scores: list[dict[str, Any]]) -> None:
    best = min(scores, key=lambda score: score["operations"])
    spent = {1: 11.0, 2: 43.0} if len(best["leave"]) == 2 else {}
    staying = 1.0 - sum(best["leave"].values())
    expected = sum(share * spent[cut] for cut, share in best["leave"].items()) + staying * 103.0
    assert best["operations"] == pytest.approx(expected / 100.0)


def test_temporal_policies_compete_alone_and_over_the_best_instance_policy() -> None:
    names = [score.policy for score in compete(a_subject(120), STREAMS)]
    assert {"difference", "temporal-patience"} < set(names)
    assert len([name for name in names if "+" in name]) == len(temporal_policies())


def test_shuffled_samples_are_the_same_in_another_order() -> None:
    subject = a_subject()
    mixed = without_order(subject, seed=3)
    assert not np.array_equal(mixed.test.truth_N, subject.test.truth_N)
    assert sorted(mixed.test.final_NK.tolist()) == sorted(subject.test.final_NK.tolist())


def a_tuned(lost: float, operations: float) -> Score:
    return Score(
        policy="margin",
        rule="none",
        operations=operations,
        measures={},
        lost=lost,
        leave={},
        error=0.0,
        tuned_operations=operations,
    )


def test_policies_are_compared_where_they_lose_the_same() -> None:
    judged = [a_tuned(0.012, 0.4), a_tuned(0.004, 0.8), a_tuned(-0.001, 0.9)]
    assert at_loss(0.006, judged) == pytest.approx(0.7)
    assert at_loss(0.002, judged) == pytest.approx(0.9)


def test_a_policy_that_never_loses_as_much_counts_as_it_is() -> None:
    assert at_loss(0.01, [a_tuned(0.004, 0.8)]) == 0.8
    assert at_loss(0.01, [a_tuned(0.0, 1.0)]) == 1.0


def test_operations_at_equal_losses_are_told_of_pictures(scores: list[dict[str, Any]]) -> None:
    assert [score["policy"] for score in scores if score["matched"] is None] == ["none"]
    assert "operations % where 0.5 are lost" in chapter.chapter([a_record(scores)])


def test_a_sample_is_as_sure_as_the_voice_that_answered_it() -> None:
    subject = a_subject(4)
    left_at_N = np.array([1, 2, STAYED, STAYED])
    sure_N = confidences(subject, Walked(left_at_N, np.zeros(4, np.int64)))
    assert sure_N[:2] == pytest.approx([subject.test.scores[1][0, 0], subject.test.scores[2][1, 0]])
    assert sure_N[2:] == pytest.approx([0.9, 0.9])


def test_macro_f1_counts_the_first_classes_and_what_others_take_from_them() -> None:
    truth_N, label_N = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 0])
    assert macro_f1(label_N, truth_N, 2) == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert macro_f1(np.array([0, 0]), np.array([0, 0]), 3) == 1.0


def test_quality_is_the_measure_that_lost_most() -> None:
    truth_N, whole_N = np.array([0] * 8 + [1] * 2), np.array([0] * 8 + [1] * 2)
    judge = STREAMS.quality(whole_N, truth_N)
    missed_N = np.array([0] * 9 + [1])
    assert judge(whole_N, truth_N) == 0.0
    assert judge(missed_N, truth_N) == pytest.approx(macro_f1(missed_N, truth_N, 3) - 1.0)
    assert macro_f1(missed_N, truth_N, 3) < 0.9


def test_what_holds_thanks_to_one_group_does_not_hold() -> None:
    truth_N, group_N = np.array([0] * 20 + [1] * 10), np.repeat([1, 2, 3], 10)
    whole_N, label_N = truth_N.copy(), truth_N.copy()
    whole_N[20:25], label_N[:3] = 0, 1  # the answers gain in the third group, and lose in the first
    assert IMAGES.quality(whole_N, truth_N)(label_N, truth_N) == pytest.approx(2 / 30)
    assert IMAGES.quality(whole_N, truth_N, group_N)(label_N, truth_N) == pytest.approx(-3 / 20)


@pytest.mark.parametrize("samples", [100, 5_000])
def test_of_many_groups_the_quality_is_what_is_kept_with_confidence(samples: int) -> None:
    rng = np.random.default_rng(3)
    truth_N = rng.integers(0, 2, samples)
    whole_N, label_N = (np.where(rng.random(samples) < wrong, 1 - truth_N, truth_N) for wrong in (0.05, 0.1))
    judged = IMAGES.quality(whole_N, truth_N, np.arange(samples))(label_N, truth_N)
    gained_N = (label_N == truth_N).astype(float) - (whole_N == truth_N)
    assert judged == pytest.approx(gained_N.mean() - SURE * gained_N.std() / math.sqrt(samples), rel=0.1)


def test_groups_as_many_as_samples_are_not_left_out_one_by_one() -> None:
    truth_N = np.arange(100) % 2
    label_N = np.where(np.arange(100) == 7, 1 - truth_N, truth_N)
    judged = IMAGES.quality(truth_N, truth_N, np.arange(100))(label_N, truth_N)
    assert judged == pytest.approx(-1 / 100 - SURE / 100)


def test_what_nobody_changes_is_kept_for_sure() -> None:
    truth_N = np.arange(100) % 2
    assert IMAGES.quality(truth_N, truth_N, np.arange(100))(truth_N, truth_N) == 0.0


def test_a_spread_over_three_seeds_is_students() -> None:
    spread = Spread.of([0.1, 0.2, 0.3])
    assert spread.mean == pytest.approx(0.2)
    assert spread.half == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert spread.shown() == "20.0 ± 24.8"


def test_one_seed_has_no_interval() -> None:
    assert Spread.of([0.25]).shown() == "25.0"


def test_the_best_is_the_cheapest_of_those_that_kept_what_was_accepted() -> None:
    def a_score(policy: str, operations: float, lost: float) -> dict[str, Any]:
        measures = {"accuracy": 0.9 - lost}
        return {
            "policy": policy,
            "operations": operations,
            "lost": lost,
            "measures": measures,
            "leave": {},
            "error": 0.1,
        }

    rows = rows_of([[a_score("cheap", 0.2, 0.05), a_score("fair", 0.5, 0.01), a_score("dear", 0.9, 0.0)]], 0.01)
    assert best_of(rows).policy == "fair"
    assert [row.within for row in rows] == [False, True, True]


def test_the_smallest_monolith_loses_no_more_than_is_accepted_in_any_measure() -> None:
    small = Reference(name="small", operations=0.1, measures={"accuracy": 0.895, "macro_f1": 0.7})
    middle = Reference(name="middle", operations=0.3, measures={"accuracy": 0.895, "macro_f1": 0.795})
    whole = {"accuracy": 0.9, "macro_f1": 0.8}
    assert smallest_within([small, middle], whole, 0.01) == middle
    assert smallest_within([small], whole, 0.01) is None


def test_the_same_curves_draw_the_same_figure() -> None:
    curves = curves_of(a_subject(), IMAGES)
    one, other = (draw(curves, {"accuracy": 0.95}, "accuracy", "pictures") for _ in range(2))
    assert one == other
    assert b"exclusion-monotone" in one
    assert one.count(b"<polyline") > len(curves)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in (("RECORDS", "records"), ("FIGURES", "figures"), ("PAGE", "RESULTS.md")):
        monkeypatch.setattr(chapter, name, tmp_path / place)
    (tmp_path / "records").mkdir()
    return tmp_path / "RESULTS.md"


def a_record(scores: list[dict[str, Any]]) -> dict[str, Any]:
    contest = {"bundle": "seeded", "seed": 0, "scores": scores}
    spots = [{"operations": 0.3, "measures": {"accuracy": 0.9}}, {"operations": 0.6, "measures": {"accuracy": 0.95}}]
    return {
        "task": "cifar10",
        "data": {"name": "seeded", "test": 300},
        "macs": 1e6,
        "first_exit": 0.1,
        "drop": 0.005,
        "seeds": [contest, contest],
        "curves": {"confidence": spots},
        "apart": {"branchynet": contest},
    }


def test_the_chapter_stands_between_its_marks_and_says_every_policy(page: Path, scores: list[dict[str, Any]]) -> None:
    page.write_text(f"# Results\n\n{chapter.BEGIN}\nold\n{chapter.END}\n\nthe rest\n")
    (chapter.RECORDS / "exits-cifar10.json").write_text(json.dumps(a_record(scores)))
    assert chapter.write_chapter() == 0
    text = page.read_text()
    assert text.startswith("# Results\n\n")
    assert text.endswith("\n\nthe rest\n")
    assert "\nold\n" not in text
    assert [score["policy"] for score in scores if f"`{score['policy']}`" not in text] == []
    assert (chapter.FIGURES / "exits-cifar10-accuracy.svg").is_file()


def test_a_remark_stands_below_the_table(scores: list[dict[str, Any]]) -> None:
    assert "\nA busy machine.\n" in chapter.chapter([a_record(scores) | {"remark": "A busy machine."}])


def test_what_looking_back_saves_is_said_in_order_and_without() -> None:
    def a_score(policy: str, operations: float) -> dict[str, Any]:
        measures = {"accuracy": 0.9, "macro_f1": 0.8}
        told = {"policy": policy, "operations": operations, "tuned_operations": operations, "measures": measures}
        return {**told, "lost": 0.0, "leave": {}, "error": 0.1}

    scores = [a_score("none", 1.0), a_score("margin", 0.5), a_score("difference", 0.2)]
    record = a_record(scores) | {"task": "mitbih", "apart": {}, "shuffled": [[a_score("difference", 0.6)]] * 2}
    text = chapter.chapter([record])
    assert "the best instance policy (`margin`) 50.0 ± 0.0 %: 30.0 points fewer." in text
    assert (
        "takes 60.0 ± 0.0 % and loses 0.00 ± 0.00 points: 10.0 points more. Without order nothing of it is left."
        in text
    )
    assert "| 60.0 ± 0.0 (0.00 ± 0.00) |" in next(
        line for line in text.splitlines() if line.startswith("| `difference` |")
    )
    record["shuffled"][0][0]["operations"] = 0.4
    assert "10.0 points fewer. What is saved without order" in chapter.chapter([record])
    assert "take 50.0 ± 0.0 % and lose 0.00 ± 0.00 points, temporal ones 20.0 ± 0.0 %" in text
    assert "seed by seed, that saves 30.0 ± 0.0 points, and in random order -10.0 ± 0.0." in text
    scores[2]["operations"] = 0.55
    assert "5.0 points more. On the same samples" in chapter.chapter([record])
    assert "Looking back saves nothing here" in chapter.chapter([record])


def test_a_page_without_a_place_for_the_chapter_is_left_alone(page: Path) -> None:
    page.write_text("# Results\n")
    with pytest.raises(InputError, match=r"RESULTS.md lacks the lines"):
        chapter.write_chapter()
    assert page.read_text() == "# Results\n"


def test_bundles_that_are_missing_are_built_on_one_trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def note(flags: list[object]) -> None:
        asked.append([str(flag) for flag in flags])
        if "--save-weights" in asked[-1]:
            (tmp_path / "mitbih-trunk.pt").touch()

    monkeypatch.setattr(subjects, "run_offramp", note)
    built = subjects.bundles_of(TASKS["mitbih"], "mitbih:somewhere", 3, tmp_path)
    assert built == [tmp_path / f"mitbih-{seed}" for seed in range(3)]
    assert ["--save-weights" in flags for flags in asked] == [True, False, False]
    assert [flags[flags.index("--branch-seed") + 1] for flags in asked] == ["0", "1", "2"]


def test_the_network_without_exits_is_a_rival_among_instance_policies() -> None:
    rows = rows_of(
        [
            [
                {"policy": name, "operations": 1.0, "lost": 0.0, "measures": {}, "leave": {}, "error": 0.0}
                for name in ("none", "margin", "difference", "difference+margin")
            ]
        ],
        0.01,
    )
    assert [row.policy for row in rivals(rows, temporal=False)] == ["none", "margin"]
    assert [row.policy for row in rivals(rows, temporal=True)] == ["difference", "difference+instance"]
