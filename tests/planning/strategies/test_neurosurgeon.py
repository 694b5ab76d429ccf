import pytest

from offramp.planning.situation import Situation
from offramp.planning.strategies.neurosurgeon import Neurosurgeon
from offramp.planning.strategies.strategy import Grounds
from offramp.wire.framing import request_wire_bytes
from tests.support.grounds import grounds_of_four_stages
from tests.support.plans import a_situation

GROUNDS = grounds_of_four_stages()


def brute_force(grounds: Grounds, situation: Situation) -> int:
    """Device, uplink and edge of every split, summed by hand."""
    end = grounds.manifest.end
    seconds = {end: grounds.device.segment(0, end).median}
    for split in range(end):
        codec = f"{split}:{'float32' if split else 'raw'}"
        bits = 8 * request_wire_bytes(grounds.manifest.cuts[split].nbytes)
        seconds[split] = (
            grounds.device.segment(0, split).median
            + grounds.device.encode[codec].median
            + (bits / situation.bandwidth if situation.bandwidth else float("inf"))
            + situation.round_trip
            + grounds.edge.decode[codec].median
            + grounds.edge.segment(split, end).median
        )
    return min(seconds, key=seconds.__getitem__)


@pytest.mark.parametrize("mbit", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 1_000.0])
def test_the_split_is_the_best_of_all(mbit: float) -> None:
    situation = a_situation(mbit)
    assert Neurosurgeon(GROUNDS).choose(situation).plan.split == brute_force(GROUNDS, situation)


def test_bandwidth_moves_the_split() -> None:
    splits = {Neurosurgeon(GROUNDS).choose(a_situation(mbit)).plan.split for mbit in (0.1, 2.0, 1_000.0)}
    assert len(splits) > 1


def test_what_is_sent_is_written_as_it_is() -> None:
    assert Neurosurgeon(GROUNDS).choose(a_situation(1_000.0)).plan.codec == "raw"


def test_it_knows_no_exits() -> None:
    assert not Neurosurgeon(GROUNDS).choose(a_situation()).plan.exit.thresholds


def test_its_forecast_is_that_of_the_cost_model_queues_included() -> None:
    choice = Neurosurgeon(GROUNDS).choose(a_situation(1_000.0, rate=1e6))
    assert choice.forecast is not None
    assert not choice.forecast.feasible
