"""What the numbers of a report mean, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from offramp.errors import DataError
from offramp.records import Answered, Result
from offramp.units import Bytes, Seconds
from offramp_evaluation.metrics.classification import (
    NOBODY,
    accuracy,
    calibration_error,
    correct,
    macro_f1,
    per_class_accuracy,
)
from offramp_evaluation.metrics.outcomes import Outcomes, paired
from offramp_evaluation.metrics.summary import deadline_hits, describe_latency, summarise

CLASSES = 4
labelled = st.lists(
    st.tuples(st.integers(NOBODY, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40
).map(lambda pairs: (np.array([said for said, _ in pairs]), np.array([true for _, true in pairs])))


def a_result(index: int, answered: Answered = Answered.EDGE, **changes: object) -> Result:
    rejected = answered is Answered.REJECTED
    fields: dict[str, object] = {
        "stream": "camera", "index": index, "answered": answered, "label": None if rejected else 1,
        "confidence": math.nan if rejected else 0.8, "exit": None if rejected else 5, "truth": 1,
        "latency": Seconds(0.1), "payload_bytes": Bytes(100), "wire_bytes": Bytes(112),
    }  # fmt: skip
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


# ── classification ──


@given(labelled)
def test_accuracy_and_macro_f1_are_scikit_learns(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    label, truth = pairs
    occurring = sorted({*label.tolist(), *truth.tolist()} - {NOBODY})
    assert accuracy(label, truth) == pytest.approx(sk.accuracy_score(truth, label))
    expected = sk.f1_score(truth, label, labels=occurring, average="macro", zero_division=0)
    assert macro_f1(label, truth) == pytest.approx(expected)


@given(labelled)
def test_accuracy_per_class_is_scikit_learns_recall(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    label, truth = pairs
    share_K, count_K = per_class_accuracy(label, truth, CLASSES)
    assert count_K.tolist() == np.bincount(truth, minlength=CLASSES).tolist()
    expected_K = sk.recall_score(truth, label, labels=range(CLASSES), average=None, zero_division=np.nan)
    assert share_K == pytest.approx(expected_K, nan_ok=True)


def test_a_sample_whose_truth_nobody_knows_counts_in_nothing() -> None:
    label, truth = [0, 1, 1, 0], [0, 1, NOBODY, NOBODY]
    assert correct(label, truth).tolist()[:2] == [1, 1]
    assert np.isnan(correct(label, truth)[2:]).all()
    assert (accuracy(label, truth), macro_f1(label, truth)) == (1.0, 1.0)
    assert per_class_accuracy(label, truth, 2)[1].tolist() == [1, 1]
    assert math.isnan(accuracy([0], [NOBODY]))
    assert math.isnan(macro_f1([0], [NOBODY]))


@given(
    st.lists(st.tuples(st.one_of(st.floats(0, 1), st.integers(0, 15).map(lambda n: n / 15)), st.booleans()), min_size=1)
)
def test_calibration_error_is_the_weighted_gap_of_every_bin(pairs: list[tuple[float, bool]]) -> None:
    expected = 0.0
    for index in range(15):
        low, high = index / 15, (index + 1) / 15
        held = [pair for pair in pairs if low < pair[0] <= high or (index == 0 and pair[0] == 0)]
        if held:
            gap = sum(right for _, right in held) / len(held) - sum(sure for sure, _ in held) / len(held)
            expected += abs(gap) * len(held) / len(pairs)
    found = calibration_error([sure for sure, _ in pairs], [right for _, right in pairs])
    assert found == pytest.approx(expected, abs=1e-12)


def test_perfect_confidence_has_no_calibration_error_and_misplaced_confidence_has_all() -> None:
    assert calibration_error([1.0, 1.0], [1, 1]) == 0.0
    assert calibration_error([1.0, 1.0], [0, 0]) == 1.0
    assert calibration_error([0.75] * 4 + [math.nan], [1, 1, 1, 0, 1]) == 0.0


def test_a_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        calibration_error([1.2], [1])


# ── outcomes and summary ──


def test_every_result_becomes_a_row() -> None:
    table = Outcomes.of([a_result(0), a_result(1, Answered.REJECTED, truth=None)])
    assert table.label_N.tolist() == [1, NOBODY]
    assert table.truth_N.tolist() == [1, NOBODY]
    assert table.exit_N.tolist() == [5, NOBODY]
    assert table.where(Answered.REJECTED).tolist() == [False, True]


def test_columns_of_unequal_length_are_no_table() -> None:
    table = Outcomes.of([a_result(0), a_result(1)])
    columns = {name: getattr(table, name) for name in Outcomes.__slots__}
    with pytest.raises(DataError, match="unequal length"):
        Outcomes(**{**columns, "label_N": np.array([1])})


def test_two_runs_are_paired_sample_by_sample() -> None:
    first = Outcomes.of([a_result(2, label=2), a_result(0, label=0), a_result(0, stream="a", label=9)])
    second = Outcomes.of([a_result(0, stream="a", label=5), a_result(0, label=6), a_result(2, label=7)])
    one, other = paired(first, second)
    assert one.stream_N.tolist() == other.stream_N.tolist() == ["a", "camera", "camera"]
    assert one.label_N.tolist() == [9, 0, 2]
    assert other.label_N.tolist() == [5, 6, 7]


def test_runs_over_different_samples_cannot_be_paired() -> None:
    with pytest.raises(DataError, match="1 samples are in one of the two runs only, such as camera #1"):
        paired(Outcomes.of([a_result(0)]), Outcomes.of([a_result(0), a_result(1)]))


def test_a_sample_with_two_results_is_refused() -> None:
    with pytest.raises(DataError, match="camera #3 has two results"):
        paired(Outcomes.of([a_result(3), a_result(3)]), Outcomes.of([a_result(3)]))


def test_a_summary_counts_every_sample_that_entered() -> None:
    results = [
        a_result(0, Answered.DEVICE, exit=1, latency=Seconds(0.1), payload_bytes=Bytes(0), wire_bytes=Bytes(0)),
        a_result(1, Answered.EDGE, latency=Seconds(0.3)),
        a_result(2, Answered.DEGRADED, exit=1, latency=Seconds(1.2), label=0),
        a_result(3, Answered.REJECTED, latency=Seconds(0.0)),
    ]
    found = summarise(Outcomes.of(results), deadline=Seconds(1.0), duration=Seconds(2.0))
    assert found.answered == {"device": 0.25, "edge": 0.25, "degraded": 0.25, "rejected": 0.25}
    assert found.exits == {1: 0.5, 5: 0.25}
    assert (found.samples, found.streams) == (4, 1)
    assert (found.accuracy, found.accuracy_answered) == (0.5, pytest.approx(2 / 3))
    assert found.deadline_hits == 0.5
    assert found.throughput == 1.5
    assert found.latency.mean == pytest.approx(1.6 / 3)
    assert found.latency.max == 1.2
    assert (found.payload_bytes, found.wire_bytes, found.wire_bytes_total) == (75, 84, 336)
    assert not found.latency_interval.excludes(1e9), "one stream says nothing about the spread"


def test_a_run_without_an_answer_has_no_latency() -> None:
    found = summarise(Outcomes.of([a_result(0, Answered.REJECTED)]), deadline=Seconds(1.0), duration=Seconds(1.0))
    assert math.isnan(found.latency.p95)
    assert (found.accuracy, found.throughput, found.deadline_hits) == (0.0, 0.0, 0.0)


def test_an_answer_on_the_deadline_is_in_time() -> None:
    table = Outcomes.of([a_result(0, latency=Seconds(1.0)), a_result(1, latency=Seconds(1.001))])
    assert deadline_hits(table, Seconds(1.0)) == 0.5


@given(st.lists(st.floats(0, 10), min_size=1))
def test_latency_quantiles_are_ordered_and_within_the_sample(latencies: list[float]) -> None:
    found = describe_latency(latencies)
    assert min(latencies) <= found.p50 <= found.p95 <= found.p99 <= found.max == max(latencies)


def test_latency_quantiles_of_a_hundred_and_one() -> None:
    found = describe_latency(np.arange(101) / 100)
    assert (found.p50, found.p95, found.p99, found.mean) == pytest.approx((0.50, 0.95, 0.99, 0.50))
