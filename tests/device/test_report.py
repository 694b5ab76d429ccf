"""What a run says about itself."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.records import Answered, EdgeTimings, Result, Timings
from offramp.units import Bytes, Seconds
from offramp_device import report
from offramp_device.report import Summary, result_line, summary_text
from offramp_device.writer import ResultWriter

LABELS = ("ash", "birch")


def a_result(
    index: int = 0,
    answered: Answered = Answered.DEVICE,
    *,
    latency: float = 0.01,
    truth: int | None = None,
    **named: object,
) -> Result:
    rejected = answered is Answered.REJECTED
    fields: dict[str, object] = {
        "label": None if rejected else 1,
        "confidence": float("nan") if rejected else 0.75,
        "exit": None if rejected else 2,
        "reason": "it failed 17 times" if rejected else "",
    }
    return Result(
        stream="front",
        index=index,
        answered=answered,
        latency=Seconds(latency),
        truth=truth,
        **{**fields, **named},  # type: ignore[arg-type]
    )


def test_a_line_carries_names_seconds_and_bytes() -> None:
    timings = Timings(head=Seconds(0.004), away=Seconds(0.02), edge=EdgeTimings(compute=Seconds(0.003), batch=2))
    result = a_result(7, Answered.EDGE, timings=timings, payload_bytes=Bytes(900), wire_bytes=Bytes(940))
    line = json.loads(result_line(result, LABELS))
    assert (line["stream"], line["index"], line["answered"], line["label_name"]) == ("front", 7, "edge", "birch")
    assert line["timings"]["edge"] == {"queue": 0.0, "decode": 0.0, "compute": 0.003, "batch": 2}
    assert (line["latency"], line["payload_bytes"], line["wire_bytes"], line["revision"]) == (0.01, 900, 940, "0.0")


def test_what_is_not_known_is_null() -> None:
    line = json.loads(result_line(a_result(0, Answered.REJECTED), LABELS))
    assert [line[key] for key in ("label", "label_name", "confidence", "exit", "truth")] == [None] * 5


def test_logits_are_written_when_asked_for_and_stay_json() -> None:
    result = a_result(0, logits=np.array([1.5, np.inf], np.float32))
    assert json.loads(result_line(result, LABELS, logits=True))["logits"] == [1.5, None]
    assert "logits" not in json.loads(result_line(result, LABELS))


def test_the_summary_counts_by_answer_and_by_exit() -> None:
    summary = Summary()
    for index, kind in enumerate([Answered.DEVICE, Answered.DEVICE, Answered.EDGE, Answered.REJECTED]):
        summary.add(
            a_result(index, kind, exit=None if kind is Answered.REJECTED else 4 if kind is Answered.EDGE else 2)
        )
    record = summary.record(late=3, connections=2)
    assert record["answered"] == {"device": 2, "edge": 1, "degraded": 0, "rejected": 1}
    assert record["exits"] == {"2": 2, "4": 1}
    assert (record["late_answers"], record["connections"]) == (3, 2)


def test_a_rejected_sample_is_wrong_but_has_no_latency() -> None:
    summary = Summary()
    summary.add(a_result(0, truth=1, latency=0.2))
    summary.add(a_result(1, Answered.REJECTED, truth=1, latency=9.0))
    record = summary.record(late=0, connections=0)
    assert record["accuracy"] == 0.5
    assert record["latency"]["mean"] == record["latency"]["p95"] == 0.2


def test_without_truth_there_is_no_accuracy_and_without_answers_no_latency() -> None:
    record = Summary().record(late=0, connections=0)
    assert (record["accuracy"], record["latency"]["p50"]) == (None, None)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50))
def test_percentiles_are_numpys(latencies: list[float]) -> None:
    summary = Summary()
    for latency in latencies:
        summary.add(a_result(latency=latency))
    found = summary.record(late=0, connections=0)["latency"]
    assert found["p50"] == pytest.approx(np.quantile(latencies, 0.5))
    assert found["p95"] == pytest.approx(np.quantile(latencies, 0.95))


def test_the_memory_of_a_summary_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "KEPT", 10)
    summary = Summary()
    for index in range(95):
        summary.add(a_result(latency=index))
    record = summary.record(late=0, connections=0)
    assert record["samples"] == 95
    assert record["latency"]["mean"] == 47
    assert 85 <= record["latency"]["p50"] <= 94  # of the last ten


def test_reasons_that_differ_only_in_numbers_are_one_kind() -> None:
    summary = Summary()
    for number in range(50):
        summary.add(a_result(number, Answered.REJECTED, reason=f"waited {number} ms"))
    assert sum(summary.reasons.values()) == 50
    assert len(summary.reasons) == 2


def test_the_text_names_the_cuts() -> None:
    summary = Summary()
    summary.add(a_result(0, truth=1))
    text = summary_text(summary.record(late=0, connections=1), ["input", "stem", "block1"])
    assert "block1 (cut 2): 1" in text
    assert "100.00%" in text


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_the_writer_goes_on_counting_when_it_can_no_longer_write() -> None:
    with ResultWriter(Broken(), LABELS) as writer:
        for index in range(5):
            writer.put(a_result(index))
    assert writer.summary.samples == 5
    assert writer.failure is not None


def test_everything_is_written_when_the_writer_ends() -> None:
    out = io.StringIO()
    with ResultWriter(out, LABELS) as writer:
        for index in range(100):
            writer.put(a_result(index))
    assert [json.loads(line)["index"] for line in out.getvalue().splitlines()] == list(range(100))
