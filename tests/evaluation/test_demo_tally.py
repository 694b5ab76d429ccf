"""From result lines to the numbers of the table."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.demo.tally import by_phase, summarise
from tests.support.outcomes import an_outcome

REJECTED = {"answered": Answered.REJECTED, "label": None, "exit": None, "payload_bytes": 0, "wire_bytes": 0}


def test_accuracy_counts_every_frame_also_the_rejected() -> None:
    outcomes = [an_outcome(), an_outcome(label=4), an_outcome(**REJECTED), an_outcome()]
    assert summarise(outcomes).accuracy == 0.5


def test_latency_is_that_of_answered_frames() -> None:
    outcomes = [an_outcome(latency=Seconds(0.1)), an_outcome(latency=Seconds(0.3)), an_outcome(**REJECTED)]
    assert summarise(outcomes).mean == pytest.approx(0.2)


def test_without_an_answer_there_is_no_latency() -> None:
    assert math.isnan(summarise([an_outcome(**REJECTED)]).p95)


def test_bytes_are_spread_over_all_frames() -> None:
    kept = an_outcome(answered=Answered.DEVICE, exit=2, payload_bytes=0, wire_bytes=0)
    summary = summarise([an_outcome(), kept])
    assert (summary.payload_bytes, summary.wire_bytes) == (500, 525)


def test_an_answer_counts_where_it_was_read() -> None:
    on_device = [an_outcome(answered=Answered.DEVICE, exit=cut) for cut in (2, 2, 4)]
    late = an_outcome(answered=Answered.DEGRADED, exit=2)
    summary = summarise([*on_device, late, an_outcome()])
    assert summary.shares == {"@2": 0.4, "@4": 0.2, "degraded": 0.2, "edge": 0.2}


@given(st.lists(st.sampled_from(Answered), min_size=1, max_size=30))
def test_the_shares_of_all_places_add_up_to_one(kinds: list[Answered]) -> None:
    outcomes = [an_outcome(**REJECTED) if kind is Answered.REJECTED else an_outcome(answered=kind) for kind in kinds]
    assert sum(summarise(outcomes).shares.values()) == pytest.approx(1.0)


def test_a_frame_counts_in_the_phase_in_which_it_was_due() -> None:
    late_arrivals = [an_outcome(index=index) for index in (3, 0, 2, 1)]
    found = by_phase(late_arrivals, [0, 0, 0, 1])
    assert {phase: [one.index for one in outcomes] for phase, outcomes in found.items()} == {0: [0, 1, 2], 1: [3]}
