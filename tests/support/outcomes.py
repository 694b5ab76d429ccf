"""Outcomes of the demo for tests."""

from dataclasses import replace

from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.demo.tally import Outcome


def an_outcome(**changes: object) -> Outcome:
    """A right answer of the edge after 50 ms, unless told otherwise."""
    usual = Outcome(
        index=0,
        answered=Answered.EDGE,
        label=3,
        truth=3,
        confidence=0.9,
        exit=4,
        latency=Seconds(0.05),
        payload_bytes=1_000,
        wire_bytes=1_050,
        reason="",
    )
    return replace(usual, **changes)
