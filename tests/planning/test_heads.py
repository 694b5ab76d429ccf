"""Plans with another head than the bundle's own: judged by what it says, timed by its own segments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle
from offramp.errors import TapeError
from offramp.measure.listen import codec_entries, codecs_of_head
from offramp.measure.observe import EdgeAnswers, Observations
from offramp.measure.profile import headed_name
from offramp.planning.attach import attach_from_tape
from offramp.planning.candidates import Candidates
from offramp.planning.cost import CostModel
from offramp.planning.enumerating import enumerate_candidates
from offramp.tape.header import FINAL, header_from_json, header_to_json
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_profile, a_situation, exactly, some_candidates
from tests.support.tapes import write_a_tape

TRUTH = np.arange(10) % 5
WRONG = (TRUTH + 1) % 5
OWN, INT8 = a_candidate(2), replace(a_candidate(2), head="int8")


def said(labels: np.ndarray) -> Observations:
    """Everybody says these labels, and is sure."""
    scores = np.full((len(TRUTH), len(SCORES)), 0.95, np.float32)
    return Observations(
        branch_labels={1: labels, 2: labels},
        branch_scores={1: scores, 2: scores},
        final_labels_M=labels,
        edge={(2, "affine8"): EdgeAnswers(labels_M=labels, payload_bytes_M=np.full(len(TRUTH), 100))},
    )


@pytest.fixture(scope="module")
def found() -> Candidates:
    worse = np.where(np.arange(10) < 2, WRONG, TRUTH)
    return enumerate_candidates(said(TRUTH), TRUTH, np.arange(10), a_manifest(), {"int8": said(worse)})


def test_what_a_head_gets_wrong_counts_against_the_bundles_own(found: Candidates) -> None:
    others = found.of_head("int8").candidates
    assert {one.accuracy for one in others} == {0.8}
    assert all(one.loss_high >= 0.2 for one in others)


def test_candidates_of_other_heads_leave_the_bundles_own_as_they_are(found: Candidates) -> None:
    assert found.of_head("") == enumerate_candidates(said(TRUTH), TRUTH, np.arange(10), a_manifest())


def test_a_candidates_plan_says_which_head_it_runs() -> None:
    assert INT8.plan().head == "int8"


def test_a_plan_is_timed_by_the_segments_of_its_head() -> None:
    profile = a_profile((0.0, 0.010, 0.030, 0.040))
    faster = {headed_name(name, "int8"): exactly(cost.median / 2) for name, cost in profile.segments.items()}
    device = replace(profile, segments={**profile.segments, **faster})
    model = CostModel(some_candidates(OWN, INT8), device, profile)
    assert model.times.head_C == pytest.approx([0.030, 0.015])


def test_a_head_that_was_not_timed_takes_what_the_bundles_own_does() -> None:
    model = CostModel(some_candidates(OWN, INT8), a_profile((0.0, 0.010, 0.030, 0.040)), a_profile())
    assert model.times.head_C == pytest.approx([0.030, 0.030])


def test_plans_of_two_heads_are_found_apart() -> None:
    profile = a_profile((0.0, 0.010, 0.030, 0.040))
    model = CostModel(some_candidates(OWN, INT8), profile, profile)
    assert [model.find(one.plan()) for one in (OWN, INT8)] == [0, 1]


def test_a_faster_head_is_forecast_to_be_faster() -> None:
    profile = a_profile((0.0, 0.010, 0.030, 0.040))
    faster = {headed_name(name, "int8"): exactly(cost.median / 2) for name, cost in profile.segments.items()}
    model = CostModel(some_candidates(OWN, INT8), replace(profile, segments={**profile.segments, **faster}), profile)
    own, other = model.latency(a_situation())
    assert own - other == pytest.approx(0.015)


def test_behind_another_head_even_lossless_codecs_lead_to_a_tail(tiny_bundle: Bundle) -> None:
    own = codec_entries(tiny_bundle.manifest, {2: ["float32"]})
    other = codec_entries(tiny_bundle.manifest, {2: ["float32"]}, own=False)
    assert [entry.voice for entry in (*own, *other)] == [FINAL, "tail/2/float32"]


def test_other_heads_lead_to_no_codec_of_the_input_nor_of_a_bottleneck() -> None:
    assert codecs_of_head({0: ["jpeg:90"], 2: ["affine8", "slim/affine8"], 3: ["slim/affine8"]}) == {2: ["affine8"]}


def test_a_tape_says_which_head_it_is_of_and_others_say_nothing(tmp_path: Path) -> None:
    header = write_a_tape(tmp_path / "own.tape", a_manifest()).header
    assert "head" not in header_to_json(header)
    other = replace(header, head="int8")
    assert header_from_json(header_to_json(other), "here") == other


def test_a_tape_of_another_head_judges_no_plan_alone(tiny_bundle: Bundle, tmp_path: Path) -> None:
    tape = write_a_tape(tmp_path / "own.tape", tiny_bundle.manifest)
    tape.header = replace(tape.header, head="int8")
    with pytest.raises(TapeError, match="bundle's own first"):
        attach_from_tape(tiny_bundle, tape)
