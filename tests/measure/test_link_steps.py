"""Steps of a link at ten offloads a second, through jitter with a long tail; docs/RESULTS.md has the whole grid."""

import pytest

from benchmarks.simulated_link import SimulatedLink
from offramp.telemetry import LinkEstimate
from offramp.units import Seconds

FAST, SLOW = 20e6, 1e6
UPLOAD = 2_000


def believed(link: SimulatedLink) -> LinkEstimate:
    found = link.estimator.estimate(Seconds(link.now))
    assert found is not None
    return found


def a_known_link(rate: float, *, jitter: float = 0.0005, sizes: tuple[int, int] = (1_000, 10_000)) -> SimulatedLink:
    link = SimulatedLink(rate, 0.030, jitter, seed=1)
    for nbytes in (60, 1_280):  # the pings of a session's first moments
        link.offload(nbytes)
        link.settle()
    link.offload_some(60, *sizes)
    link.settle()
    return link


def time_of_an_upload(found: LinkEstimate) -> float:
    return found.round_trip + 8 * UPLOAD / found.bandwidth


@pytest.mark.parametrize("sizes", [(1_000, 1_000), (1_000, 3_000), (3_000, 10_000)], ids=str)
def test_a_link_that_thins_out_is_known_after_three_offloads_of_any_size(sizes: tuple[int, int]) -> None:
    link = a_known_link(FAST, sizes=sizes)
    link.rate = SLOW
    link.offload_some(3, *sizes)
    link.settle()
    assert believed(link).bandwidth == pytest.approx(SLOW, rel=0.25)


def test_a_link_that_recovers_is_known_after_three_offloads() -> None:
    link = a_known_link(SLOW, jitter=0.0002)
    link.rate = FAST
    link.offload_some(3, 3_000, 10_000)
    link.settle()
    assert believed(link).bandwidth == pytest.approx(FAST, rel=0.25)


def test_where_few_bytes_cannot_tell_a_fast_rate_the_time_is_right_and_the_rate_uncertain() -> None:
    link = a_known_link(SLOW, jitter=0.001, sizes=(1_000, 1_000))
    link.rate = FAST
    link.offload_some(3, 1_000, 1_000)
    link.settle()
    found = believed(link)
    assert time_of_an_upload(found) == pytest.approx(link.takes(UPLOAD), rel=0.15)
    assert found.bandwidth_high > 1.2 * found.bandwidth_low


@pytest.mark.parametrize("rate", [FAST, SLOW])
def test_a_steady_link_stays_what_it_is(rate: float) -> None:
    link = a_known_link(rate, jitter=0.002)
    before, times = believed(link).changes, []
    for _ in range(2_000):
        link.offload_some(1, 1_000, 10_000)
        times.append(time_of_an_upload(believed(link)))
    assert believed(link).changes == before
    assert (min(times), max(times)) == pytest.approx((link.takes(UPLOAD),) * 2, rel=0.15)


def test_each_step_is_counted_once() -> None:
    link = a_known_link(FAST)
    before = believed(link).changes
    for rate in (SLOW, FAST):
        link.rate = rate
        link.offload_some(20, 3_000, 10_000)
        link.settle()
    assert believed(link).changes == before + 2


def test_a_busier_edge_is_no_thinner_link() -> None:
    link = a_known_link(FAST)
    before = believed(link)
    for _ in range(20):
        link.now += 0.2
        link.estimator.sent(10_000, 4_000, Seconds(link.now))
        answered = link.now + link.round_trip + 8 * 4_000 / link.rate + 0.0005 + 0.15
        link.estimator.answered(10_000, Seconds(0.15), Seconds(answered))
    after = believed(link)
    assert after.changes == before.changes
    assert time_of_an_upload(after) == pytest.approx(time_of_an_upload(before), rel=0.05)
    assert after.edge == pytest.approx(0.15, rel=0.05)
