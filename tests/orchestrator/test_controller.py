"""What a controller orders, and when it does not: laws over hellos, reports and time that passes."""

import pytest

from offramp.errors import SettingsError, UnknownBundleError, WireError
from offramp.planning.objective import parse_objective
from offramp.records import Revision
from offramp.units import Seconds
from offramp_orchestrator.charge import BARRED, RESEND
from tests.orchestrator.fleets import (
    BOARD,
    DIGEST,
    EPOCH,
    SENDS,
    STAYS,
    STRICT,
    Fleet,
    a_link,
    a_report,
    a_running_report,
    address_of,
    drifting,
    raw,
)


def test_a_device_that_joins_is_told_the_plan_its_edge_and_its_bundle(fleet: Fleet) -> None:
    order = fleet.device()
    assert order is not None
    assert (order.plan, order.edge, order.model_digest) == (SENDS, address_of("edge"), DIGEST)


def test_an_order_says_what_is_expected_of_it(fleet: Fleet) -> None:
    order = fleet.device()
    assert order is not None
    assert 0 < order.predicted < order.predicted_p95
    assert order.agreement == 0.97
    assert "ms" in order.why


def test_without_an_edge_nothing_is_sent() -> None:
    order = Fleet().device()
    assert order is not None
    assert (order.plan, order.edge) == (STAYS, "")


def test_before_the_link_is_known_nothing_is_sent_but_the_edge_is_named(fleet: Fleet) -> None:
    order = fleet.device(report=a_report())
    assert order is not None
    assert (order.plan, order.edge) == (STAYS, address_of("edge"))


def test_a_step_of_the_link_is_followed_at_once(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    order = fleet.report(link=a_link(0.1, changes=1))
    assert order is not None
    assert order.plan == STAYS


def test_an_outage_is_followed_at_once(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    order = fleet.report(link=a_link(1e-5))
    assert order is not None
    assert order.plan == STAYS


def test_a_link_that_moves_without_changing_the_plan_orders_nothing(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    assert fleet.report(link=a_link(60.0, changes=1)) is None


def test_a_device_has_its_own_objective(fleet: Fleet) -> None:
    order = fleet.device(objective="minimise=bytes, drop=any")
    assert order is not None
    assert order.plan.endswith("codec=none")


def test_the_default_objective_is_that_of_the_orchestrator() -> None:
    fleet = Fleet(objective=parse_objective("minimise=bytes, drop=any"))
    fleet.edge()
    order = fleet.device()
    assert order is not None
    assert order.plan.endswith("codec=none")


def test_drift_makes_exits_stricter_and_is_told(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    order = fleet.report(drift=drifting(caution=8, event="branch 1 agrees in 60 % only"))
    assert order is not None
    assert order.plan == STRICT
    assert [event.about["what"] for event in fleet.told("drift")] == ["branch 1 agrees in 60 % only"]


def test_a_price_makes_devices_use_less_of_the_edge(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    fleet.load(price=10.0)
    order = fleet.report()
    assert order is not None
    assert order.plan == STAYS


def test_a_price_that_hardly_moved_changes_nothing(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    fleet.load(price=0.01)
    decided = count_decisions(fleet)
    fleet.report()
    assert decided == []


def test_paces_of_the_device_count_where_they_moved_far(fleet: Fleet) -> None:
    """The board throttles to a thirtieth: the branch is no longer worth its wait."""
    fleet.device()
    fleet.follow()
    order = fleet.report(paces={"0-1+branch": 0.3, "0-1": 0.3, "1-2": 2.7, "0-2": 3.0})
    assert order is not None
    assert order.plan.startswith("split=0")


def test_paces_of_the_edge_count_too(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    fleet.load(paces={DIGEST: {"1-2": 0.5, "0-2": 0.5}})
    order = fleet.report()
    assert order is not None
    assert order.plan == STAYS


def test_a_device_without_a_profile_gets_a_plan_that_needs_none_and_a_better_one_once_it_has(fleet: Fleet) -> None:
    first = fleet.device(profile=b"")
    assert first is not None
    assert first.predicted == 0.0
    second = fleet.device(report=a_report(a_link(), plan=first.plan, revision=first.revision))
    assert second is not None
    assert second.revision == Revision(EPOCH, first.revision.counter + 1)
    assert second.predicted > 0


# the band


def count_decisions(fleet: Fleet) -> list[str]:
    """Grows by a name with each time that somebody thinks about a plan."""
    decided: list[str] = []
    order = fleet.controller._order

    def counted(charges, now):  # noqa: ANN001, ANN202
        charges = list(charges)
        decided.extend(charge.device.name for charge in charges)
        return order(charges, now)

    fleet.controller._order = counted  # type: ignore[method-assign]
    return decided


@pytest.mark.parametrize(
    "link", [a_link(), a_link(20.0 * 1.1), a_link(20.0 * 0.9), a_link(rtt=0.022)], ids=["same", "up", "down", "later"]
)
def test_reports_within_the_band_are_looked_up_and_not_thought_over(fleet: Fleet, link: object) -> None:
    fleet.device()
    fleet.follow()
    decided = count_decisions(fleet)
    fleet.report(link=link)
    assert decided == []


@pytest.mark.parametrize(
    "changes",
    [
        {"link": a_link(25.0)},
        {"link": a_link(15.0)},
        {"link": a_link(rtt=0.03)},
        {"link": a_link(changes=1)},
        {"link": None},
        {"rate": 10.0},
        {"drift": drifting(caution=1)},
        {"paces": {"0-1": 0.02}},
    ],
    ids=str,
)
def test_what_leaves_the_band_is_thought_over(fleet: Fleet, changes: dict[str, object]) -> None:
    fleet.device()
    fleet.follow()
    decided = count_decisions(fleet)
    fleet.report(**changes)
    assert decided == ["board"]


def test_what_a_strategy_held_back_is_looked_at_again_later_each_time_later(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    decided = count_decisions(fleet)
    fleet.report(link=a_link(60.0))
    times = []
    for second in range(60):
        fleet.clock.advance(Seconds(1.0))
        if fleet.report() is None and len(decided) > len(times) + 1:
            times.append(second)
    assert times == [0, 8]


def test_a_report_that_is_no_number_is_refused_by_name(fleet: Fleet) -> None:
    fleet.device()
    with pytest.raises(WireError, match="rate is nan"):
        fleet.report(rate=float("nan"))


# orders and revisions


def test_an_order_that_is_followed_is_acknowledged_once(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    fleet.report()
    assert len(fleet.told("acknowledged")) == 1


def test_an_order_that_nobody_acknowledged_is_said_again_with_its_revision(fleet: Fleet) -> None:
    order = fleet.device()
    fleet.report()
    assert fleet.pass_time(RESEND * 0.9) == []
    assert fleet.pass_time(RESEND * 0.2) == [("board", order)]


def test_an_acknowledged_order_is_not_said_again(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    assert fleet.pass_time(10 * RESEND) == []


def test_revisions_of_a_device_grow(fleet: Fleet) -> None:
    fleet.device()
    fleet.follow()
    fleet.report(link=a_link(0.1, changes=1))
    fleet.pass_time(2.0)
    fleet.report(link=a_link(20.0, changes=2))
    revisions = [order.revision for order in fleet.orders["board"]]
    assert revisions == [Revision(EPOCH, counter) for counter in (1, 2, 3)]


def test_after_a_restart_a_plan_of_the_old_epoch_is_replaced_by_one_of_the_new(fleet: Fleet) -> None:
    fleet.device()
    fleet.restart(EPOCH + 5)
    fleet.edge()
    order = fleet.device(report=a_running_report(epoch=EPOCH))
    assert order is not None
    assert order.revision == Revision(EPOCH + 5, 1)


@pytest.mark.parametrize(("seen", "next_one"), [(EPOCH, Revision(EPOCH, 8)), (EPOCH + 9, Revision(EPOCH + 10, 1))])
def test_a_device_that_has_seen_as_much_or_more_is_still_told_something_newer(
    fleet: Fleet, seen: int, next_one: Revision
) -> None:
    """Two starts within a second, and a clock that went back."""
    order = fleet.device(report=a_running_report(epoch=seen))
    assert order is not None
    assert order.revision == next_one


def test_a_plan_that_made_trouble_is_not_ordered_again_for_a_while(fleet: Fleet) -> None:
    fleet.device()
    order = fleet.report(trouble="no such codec here")
    assert order is not None
    assert order.plan != SENDS
    fleet.follow()
    fleet.pass_time(BARRED * 0.9)
    assert fleet.report(link=a_link(30.0, changes=1)) is None
    fleet.pass_time(BARRED * 0.2)
    again = fleet.report(link=a_link(20.0, changes=2))
    assert again is not None
    assert again.plan == SENDS


def test_the_same_trouble_right_after_the_next_order_is_still_about_the_one_before(fleet: Fleet) -> None:
    fleet.device()
    fleet.report(trouble="no such codec here")
    assert fleet.report(trouble="no such codec here") is None
    assert len(fleet.told("trouble")) == 1


# joining and leaving


def test_an_unknown_bundle_is_refused_and_the_known_ones_are_listed(fleet: Fleet) -> None:
    with pytest.raises(UnknownBundleError, match="'other' is planned for here; there are: a test network"):
        fleet.device(bundle="other")


def test_a_profile_that_is_none_is_refused(fleet: Fleet) -> None:
    with pytest.raises(WireError, match="what was sent as a profile is none"):
        fleet.device(profile=b"[1")


def test_a_profile_that_lacks_a_segment_is_refused_by_its_name(fleet: Fleet) -> None:
    short = raw(BOARD).replace(b'"0-1+branch"', b'"0-1+bench"')
    with pytest.raises(WireError, match=r"lacks segment 0-1\+branch"):
        fleet.device(profile=short)


def test_an_objective_that_nobody_can_judge_is_refused(fleet: Fleet) -> None:
    with pytest.raises(SettingsError, match="--power"):
        fleet.device(objective="minimise=energy")


def test_a_device_that_left_is_told_nothing(fleet: Fleet) -> None:
    fleet.device()
    fleet.controller.device_left("board")
    assert fleet.report(link=a_link(0.1, changes=1)) is None
    assert fleet.lose() == []


def test_telemetry_is_told_where_it_is_wanted() -> None:
    fleet = Fleet(telemetry=True)
    fleet.edge()
    fleet.device()
    fleet.follow()
    fleet.report(link=a_link(21.0))
    event = fleet.told("telemetry")[-1]
    assert event.about["bandwidth"] == 21e6
    assert event.about["plan"] == SENDS
    assert event.about["predicted"] == pytest.approx(fleet.last().predicted, rel=0.02)


def test_what_is_predicted_of_the_plan_in_force_follows_the_link_though_the_plan_stays() -> None:
    fleet = Fleet(telemetry=True)
    fleet.edge()
    fleet.device()
    fleet.follow()
    fleet.report(link=a_link(20.0))
    fleet.report(link=a_link(18.0))
    before, after = (event.about["predicted"] for event in fleet.told("telemetry")[-2:])
    assert after > before
