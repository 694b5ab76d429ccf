"""Which plans the edge has opened, and when the link is worth a ping."""

from offramp.clock import ManualClock
from offramp.measure.link import LinkEstimator
from offramp.units import Seconds
from offramp_device.bindings import KEPT, RETRY, Bindings
from offramp_device.route import Route
from offramp_device.vigil import CONFIRM_AFTER, PING_AFTER, PROBE_AFTER, PROBE_PADDING, SILENCE, Vigil
from tests.device.fakes import a_route

NOW = Seconds(100.0)


def route(counter: int = 0) -> Route:
    return a_route("split=2, exit=none, codec=float32", ManualClock(), counter=counter)


def opened(*routes: Route) -> Bindings:
    bindings = Bindings()
    for one in routes:
        bindings.want(one)
    for ref, _ in bindings.due(NOW):
        bindings.heard(ref, "")
    return bindings


def test_a_route_has_no_reference_before_the_edge_has_opened_it() -> None:
    bindings, one = Bindings(), route()
    bindings.want(one)
    ((ref, _),) = bindings.due(NOW)
    assert bindings.reference(one) is None
    bindings.heard(ref, "")
    assert bindings.reference(one) == ref


def test_a_binding_is_sent_once() -> None:
    bindings = opened(route())
    assert bindings.due(NOW) == []


def test_equal_plans_share_a_reference_and_other_revisions_do_not() -> None:
    first, twin, newer = route(), route(), route(1)
    bindings = opened(first, twin, newer)
    assert bindings.reference(first) == bindings.reference(twin) != bindings.reference(newer)


def test_a_refused_plan_says_why_and_is_tried_again_later() -> None:
    bindings, one = Bindings(), route()
    bindings.want(one)
    ((ref, _),) = bindings.due(NOW)
    bindings.heard(ref, "no such bundle")
    assert (bindings.unready(one), bindings.settled(one)) == ("no such bundle", True)
    assert bindings.due(NOW) == []
    assert len(bindings.due(Seconds(NOW + RETRY + 1))) == 1


def test_a_lost_stream_takes_its_references_with_it_and_none_comes_twice() -> None:
    one = route()
    bindings = opened(one)
    before = bindings.reference(one)
    bindings.lose()
    assert bindings.reference(one) is None
    ((ref, _),) = bindings.due(NOW)
    assert ref != before


def test_routes_that_went_out_of_use_are_forgotten() -> None:
    routes = [route(number) for number in range(KEPT + 1)]
    bindings = opened(*routes)
    assert bindings.reference(routes[0]) is None
    assert bindings.reference(routes[-1]) is not None


def a_link(*, unanswered: bool = False) -> LinkEstimator:
    link = LinkEstimator()
    if unanswered:
        link.sent(1, 100, NOW)
    return link


def after(seconds: float) -> Seconds:
    return Seconds(NOW + seconds)


def a_vigil() -> Vigil:
    vigil = Vigil()
    vigil.heard(NOW)
    vigil.learned(NOW)
    return vigil


def test_a_quiet_link_is_pinged_now_and_then() -> None:
    vigil = a_vigil()
    assert vigil.ping(a_link(), after(PING_AFTER - 0.1)) is None
    assert vigil.ping(a_link(), after(PING_AFTER + 0.1)) == 0


def test_pings_are_empty_and_padded_in_turn_so_that_rate_and_round_trip_are_told_apart() -> None:
    vigil = a_vigil()
    assert [vigil.ping(a_link(), after(PING_AFTER + 0.1)) for _ in range(4)] == [0, PROBE_PADDING, 0, PROBE_PADDING]


def test_a_step_of_the_link_is_looked_at_twice_soon_after() -> None:
    vigil, link = a_vigil(), a_link()
    learned = after(40.0)
    for number, answered in enumerate([0.02] * 30 + [0.5] * 3, start=1):
        link.sent(number, 100, after(number))
        link.answered(number, Seconds(0.0), after(number + answered))
    vigil.learned(learned)
    assert link.changes
    soon, later = Seconds(learned + CONFIRM_AFTER + 0.01), Seconds(learned + PING_AFTER - 0.01)
    assert [vigil.ping(link, soon), vigil.ping(link, soon), vigil.ping(link, later)] == [0, PROBE_PADDING, None]


def test_a_link_that_was_too_slow_for_a_sample_is_probed_with_a_packet() -> None:
    vigil = a_vigil()
    vigil.starved()
    assert vigil.ping(a_link(), after(PROBE_AFTER - 0.1)) is None
    assert vigil.ping(a_link(), after(PROBE_AFTER + 0.1)) == PROBE_PADDING


def test_what_is_learned_ends_the_starvation() -> None:
    vigil = a_vigil()
    vigil.starved()
    vigil.learned(after(1.0))
    assert vigil.ping(a_link(), after(1.0 + PROBE_AFTER + 0.1)) == 0


def test_nothing_is_pinged_while_something_is_unanswered() -> None:
    vigil = a_vigil()
    vigil.starved()
    assert vigil.ping(a_link(unanswered=True), after(10.0)) is None


def test_silence_means_death_only_when_something_is_unanswered() -> None:
    vigil = a_vigil()
    assert not vigil.is_dead(a_link(), after(100.0))
    assert not vigil.is_dead(a_link(unanswered=True), after(SILENCE - 0.1))
    assert vigil.is_dead(a_link(unanswered=True), after(SILENCE + 0.1))


def test_a_link_that_still_speaks_is_alive_however_slow() -> None:
    vigil = a_vigil()
    vigil.heard(after(5.0))
    assert not vigil.is_dead(a_link(unanswered=True), after(6.0))
