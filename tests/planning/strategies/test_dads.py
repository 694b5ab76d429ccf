import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.errors import MissingExtraError
from offramp.planning.situation import Situation
from offramp.planning.strategies.dads import Dads
from offramp.planning.strategies.strategy import Grounds
from offramp.wire.framing import request_wire_bytes
from tests.support.grounds import grounds_of_four_stages
from tests.support.plans import a_candidate, a_situation

PAYLOADS = st.lists(st.integers(10, 20_000), min_size=4, max_size=4)
STAGES = st.lists(st.integers(0, 50), min_size=4, max_size=4)


def seconds_of_splits(grounds: Grounds, payloads: list[int], situation: Situation) -> list[float]:
    """The chain, summed by hand."""
    end = grounds.manifest.end
    seconds = []
    for split in range(end):
        bits = 8 * request_wire_bytes(payloads[split])
        crossing = bits / situation.bandwidth if situation.bandwidth else float("inf")
        work = grounds.device.segment(0, split).median + grounds.edge.segment(split, end).median
        seconds.append(work + 0.0005 + crossing + situation.round_trip + 0.0005)
    return [*seconds, grounds.device.segment(0, end).median]


def grounds_with(payloads: list[int], head: tuple[float, ...]) -> Grounds:
    codecs = ["jpeg:90", *["affine8+zstd"] * 3]
    sent = [
        a_candidate(split, codec=codec, payload=size)
        for split, (codec, size) in enumerate(zip(codecs, payloads, strict=True))
    ]
    return grounds_of_four_stages(*sent, a_candidate(4, codec="none"), head=head)


@settings(deadline=None)  # the first example imports networkx
@given(payloads=PAYLOADS, stages=STAGES, mbit=st.sampled_from([0.0, 0.1, 1.0, 5.0, 50.0]))
def test_the_minimum_cut_of_a_chain_is_the_best_of_its_splits(
    payloads: list[int], stages: list[int], mbit: float
) -> None:
    head = tuple(sum(stages[:cut]) / 1_000 for cut in range(5))
    grounds, situation = grounds_with(payloads, head), a_situation(mbit, rate=0.0)
    seconds = seconds_of_splits(grounds, payloads, situation)
    chosen = Dads(grounds).choose(situation).plan.split
    assert seconds[chosen] == pytest.approx(min(seconds), abs=1e-7)


def test_each_cut_is_crossed_by_the_codec_that_is_soonest_there() -> None:
    grounds = grounds_of_four_stages(
        a_candidate(0, codec="jpeg:90", payload=900),
        a_candidate(0, codec="png", payload=500),
        a_candidate(4, codec="none"),
    )
    assert Dads(grounds).choose(a_situation()).plan.codec == "png"


def test_a_codec_that_loses_more_than_the_objective_allows_is_not_used() -> None:
    grounds = grounds_of_four_stages(
        a_candidate(0, codec="jpeg:90", payload=900),
        a_candidate(0, codec="jpeg:50", payload=500, loss_high=0.2),
        a_candidate(4, codec="none"),
    )
    assert Dads(grounds).choose(a_situation()).plan.codec == "jpeg:90"


def test_under_heavy_load_the_slowest_step_is_shortened() -> None:
    payloads, head = [4_000, 3_500, 20_000, 20_000], (0.0, 0.010, 0.060, 0.061, 0.062)
    dads = Dads(grounds_with(payloads, head))
    # At 0.8 Mbit/s, 41 ms for the input, 36 ms for what leaves stage 0: 26 a second are too many for the former.
    light, heavy = (dads.choose(a_situation(0.8, rtt=0.001, rate=rate)).plan.split for rate in (1.0, 26.0))
    assert (light, heavy) == (0, 1)


def test_without_networkx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingExtraError, match=r"offramp\[orchestrator\]"):
        Dads(grounds_of_four_stages())
