import pytest

from offramp.planning.strategies.chain import model_of, one_sample
from offramp.units import Seconds
from offramp.wire.framing import request_wire_bytes
from tests.support.grounds import HEAD, grounds_of_four_stages
from tests.support.plans import a_candidate, a_situation

GROUNDS = grounds_of_four_stages()


def test_one_sample_takes_device_uplink_round_trip_and_edge() -> None:
    situation = a_situation(1.0, rtt=0.02, edge_wait=Seconds(0.003), device_slow=2.0, edge_slow=3.0)
    model = model_of(GROUNDS, [a_candidate(2, payload=1_000)])
    device = 2 * (HEAD[2] + 0.0005)
    transmit = 8 * request_wire_bytes(1_000) / 1e6
    edge = 3 * (0.0005 + (HEAD[4] - HEAD[2]) / 10)
    assert one_sample(model, situation)[0] == pytest.approx(device + transmit + 0.02 + 0.003 + edge)


def test_in_an_outage_only_what_sends_nothing_comes_to_an_end() -> None:
    model = model_of(GROUNDS, [a_candidate(2), a_candidate(4, codec="none")])
    assert one_sample(model, a_situation(0.0)).tolist() == pytest.approx([float("inf"), HEAD[4]])
