import numpy as np
import pytest

from offramp.bundle.manifest import SCORES
from offramp.measure.observe import EdgeAnswers, Observations
from offramp.planning.candidates import Candidate, Candidates
from offramp.planning.enumerating import enumerate_candidates
from tests.support.manifests import a_manifest

TRUTH = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
WRONG = (TRUTH + 1) % 5
SURE_FIRST = np.array([0.99, 0.99, 0.99, 0.99, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4], dtype=np.float32)
SURE_SECOND = np.array([0.4, 0.4, 0.4, 0.4, 0.99, 0.99, 0.4, 0.4, 0.4, 0.4], dtype=np.float32)


def scores(confidence: np.ndarray) -> np.ndarray:
    return np.repeat(confidence[:, None], len(SCORES), axis=1)


@pytest.fixture(scope="module")
def found() -> Candidates:
    first_right = np.where(np.arange(10) < 3, TRUTH, WRONG)  # of the four that are sure, three are right
    observations = Observations(
        branch_labels={1: first_right, 2: TRUTH},
        branch_scores={1: scores(SURE_FIRST), 2: scores(SURE_SECOND)},
        final_labels_M=TRUTH,
        edge={
            (2, "fine"): EdgeAnswers(labels_M=TRUTH, payload_bytes_M=np.arange(100, 1100, 100)),
            (2, "coarse"): EdgeAnswers(labels_M=WRONG, payload_bytes_M=np.full(10, 50)),
            (2, "wasteful"): EdgeAnswers(labels_M=WRONG, payload_bytes_M=np.full(10, 5000)),
        },
    )
    return enumerate_candidates(observations, TRUTH, np.arange(10), a_manifest())


def pick(found: Candidates, split: int, codec: str, *asked: int) -> Candidate:
    """The one that asks these branches: at all thresholds that let anybody leave, the same samples leave."""
    (one,) = [
        item
        for item in found.candidates
        if (item.split, item.codec) == (split, codec)
        and item.exit.policy in ("confidence", "none")
        and tuple(cut for cut, _ in item.exit.thresholds) == asked
    ]
    return one


def test_accuracy_mixes_who_left_and_who_was_answered_at_the_edge(found: Candidates) -> None:
    assert pick(found, 2, "fine", 1, 2).accuracy == pytest.approx(0.9)


def test_reach_and_offload_count_who_is_still_on_the_road(found: Candidates) -> None:
    one = pick(found, 2, "fine", 1, 2)
    assert one.reach == pytest.approx((1.0, 0.6))
    assert one.offload == pytest.approx(0.4)


def test_bytes_are_those_of_the_samples_that_are_sent(found: Candidates) -> None:
    assert pick(found, 2, "fine", 1, 2).payload_mean == pytest.approx((700 + 800 + 900 + 1000) / 4)


def test_more_bytes_that_buy_no_accuracy_are_dropped(found: Candidates) -> None:
    assert {item.codec for item in found.candidates if item.split == 2} == {"fine", "coarse"}


def test_the_whole_network_on_the_device_is_a_candidate(found: Candidates) -> None:
    one = pick(found, 4, "none")
    assert (one.accuracy, one.offload, one.payload_mean) == (1.0, 1.0, 0.0)


def test_every_candidate_is_a_plan(found: Candidates) -> None:
    assert all(item.plan().split == item.split for item in found.candidates)


def test_of_every_input_format_the_best_stays_for_tables_to_compare_with() -> None:
    sent = {"raw": 768, "png": 500, "jpeg:90": 300, "jpeg:50": 200, "raw+zstd": 600}
    observations = Observations(
        branch_labels={1: TRUTH, 2: TRUTH},
        branch_scores={1: scores(SURE_FIRST), 2: scores(SURE_SECOND)},
        final_labels_M=TRUTH,
        edge={
            (0, codec): EdgeAnswers(labels_M=TRUTH, payload_bytes_M=np.full(10, size)) for codec, size in sent.items()
        },
    )
    candidates = enumerate_candidates(observations, TRUTH, np.arange(10), a_manifest()).candidates
    assert {item.codec for item in candidates if item.split == 0} == {"raw+zstd", "png", "jpeg:50"}


def test_plans_that_differ_by_nothing_that_counts_are_one() -> None:
    """All three policies, at many thresholds, let the same samples leave here: one plan stands for them."""
    entropy = (1 - SURE_FIRST) / 2
    said = np.stack([SURE_FIRST, entropy, SURE_FIRST, SURE_FIRST], axis=1)
    observations = Observations(
        branch_labels={1: np.where(SURE_FIRST > 0.5, TRUTH, WRONG), 2: TRUTH},
        branch_scores={1: said, 2: said},
        final_labels_M=TRUTH,
        edge={(2, "fine"): EdgeAnswers(labels_M=TRUTH, payload_bytes_M=np.full(10, 100))},
    )
    candidates = enumerate_candidates(observations, TRUTH, np.arange(10), a_manifest()).candidates
    at_first = [item for item in candidates if item.split == 2 and [cut for cut, _ in item.exit.thresholds] == [1]]
    assert sorted(item.offload for item in at_first) == [0.0, 0.6]


def test_the_whole_network_loses_nothing_against_itself(found: Candidates) -> None:
    assert pick(found, 4, "none").loss_high == 0.0


def test_the_loss_is_bounded_by_what_ten_samples_can_tell(found: Candidates) -> None:
    """One of them is lost; where one is, so few could hide a loss of half of all."""
    assert pick(found, 2, "fine", 1, 2).loss_high == pytest.approx(0.5, abs=0.1)


def test_agreement_counts_those_who_left_against_the_whole_network(found: Candidates) -> None:
    assert pick(found, 2, "fine", 1, 2).agreement == pytest.approx(5 / 6, abs=1e-5)
    assert pick(found, 4, "none").agreement == 1.0
