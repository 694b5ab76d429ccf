import pytest

from offramp.errors import SettingsError
from offramp.measure.link import LinkEstimate, LinkEstimator
from offramp.planning.situation import Situation
from offramp.units import BitsPerSecond, Bytes, Seconds
from tests.support.plans import a_situation


def believed(estimator: LinkEstimator, now: float) -> LinkEstimate:
    estimate = estimator.estimate(Seconds(now))
    assert estimate is not None
    return estimate


def a_learned_link(*, mbit: float = 8.0, round_trip: float = 0.02) -> LinkEstimator:
    estimator = LinkEstimator()
    for number in range(50):
        sent, nbytes = 0.1 * number, 2000 + 100 * (number % 7)
        estimator.sent(number, Bytes(nbytes), Seconds(sent))
        estimator.answered(number, Seconds(0.001), Seconds(sent + round_trip + 8 * nbytes / (mbit * 1e6) + 0.001))
    return estimator


def test_a_known_bandwidth_is_its_own_range() -> None:
    situation = a_situation(mbit=2.0)
    assert situation.slowest == situation.fastest == 2e6


def test_a_link_s_estimate_becomes_bandwidth_range_and_round_trip() -> None:
    situation = Situation.from_link(believed(a_learned_link(), 5.0), rate=10.0, edge_slow=1.5)
    assert situation.bandwidth == pytest.approx(8e6, rel=0.1)
    assert situation.slowest < situation.bandwidth <= situation.fastest
    assert situation.round_trip == pytest.approx(0.02, abs=0.002)
    assert (situation.rate, situation.edge_slow) == (10.0, 1.5)


def test_silence_lowers_the_bandwidth_that_is_expected() -> None:
    estimator = a_learned_link()
    estimator.sent(99, Bytes(2000), Seconds(5.0))
    before, after = (Situation.from_link(believed(estimator, now), rate=10.0) for now in (5.0, 6.0))
    assert after.bandwidth < 0.1 * before.bandwidth


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"rate": -1.0}, "rate is 0 or more"),
        ({"edge_slow": 0.0}, "edge_slow is a positive factor"),
        ({"bandwidth_low": BitsPerSecond(2e7)}, "lies outside its own range"),
        ({"bandwidth_high": BitsPerSecond(1e6)}, "lies outside its own range"),
    ],
)
def test_an_impossible_situation_is_refused(wrong: dict[str, float], hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        a_situation(**wrong)  # type: ignore[arg-type]
