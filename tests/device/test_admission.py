"""The ledger: what may be sent, what is expected, what came too late."""

from hypothesis import given
from hypothesis import strategies as st

from offramp.measure.link import LinkEstimator
from offramp.units import Bytes, Seconds
from offramp_device.admission import Ledger

EDGE = Seconds(0.0)


def a_ledger(*, rate: float = 1e6, round_trip: float = 0.02, max_unanswered: int = 1 << 20) -> Ledger[str]:
    """One that knows its link: a few payloads of two sizes went there and back at time 0 to 1."""
    link = LinkEstimator()
    for index in range(10):
        nbytes, now = 500 + 1_000 * (index % 2), 0.1 * index
        link.sent(-index - 1, nbytes, Seconds(now))
        link.answered(-index - 1, EDGE, Seconds(now + round_trip + 8 * nbytes / rate))
    return Ledger(link, Bytes(max_unanswered))


def test_a_payload_that_would_come_back_in_time_is_admitted() -> None:
    assert a_ledger().refusal(10_000, due=Seconds(2.2), now=Seconds(2.0)) == ""


def test_a_payload_that_would_come_back_late_is_refused_with_the_prediction() -> None:
    reason = a_ledger().refusal(10_000, due=Seconds(2.09), now=Seconds(2.0))
    assert "90.0 ms are left" in reason


def test_what_is_on_the_way_counts() -> None:
    ledger = a_ledger()
    for _ in range(2):
        ledger.enter("earlier", 10_000, Seconds(3.0), Seconds(2.0))
    assert ledger.refusal(10_000, due=Seconds(2.2), now=Seconds(2.0)) != ""


def test_unanswered_bytes_are_bounded() -> None:
    ledger = a_ledger(rate=1e9, max_unanswered=15_000)
    ledger.enter("first", 10_000, Seconds(9.0), Seconds(2.0))
    assert "10.0 kB are unanswered" in ledger.refusal(10_000, due=Seconds(9.0), now=Seconds(2.0))


def test_one_payload_larger_than_the_bound_may_still_go_alone() -> None:
    assert a_ledger(rate=1e9, max_unanswered=5_000).refusal(10_000, due=Seconds(9.0), now=Seconds(2.0)) == ""


def test_an_answer_settles_its_flight_once() -> None:
    ledger = a_ledger()
    number = ledger.enter("flight", 1_000, Seconds(3.0), Seconds(2.0))
    assert ledger.settle(number, EDGE, Seconds(2.1)) == "flight"
    assert ledger.settle(number, EDGE, Seconds(2.2)) is None
    assert ledger.late == 0


def test_a_late_answer_is_discarded_and_counted() -> None:
    ledger = a_ledger()
    number = ledger.enter("flight", 1_000, Seconds(3.0), Seconds(2.0))
    assert ledger.expire(Seconds(3.0)) == ["flight"]
    assert ledger.settle(number, EDGE, Seconds(3.1)) is None
    assert ledger.late == 1


def test_bytes_of_an_expired_flight_stay_on_the_link() -> None:
    ledger = a_ledger()
    ledger.enter("flight", 1_000, Seconds(3.0), Seconds(2.0))
    ledger.expire(Seconds(3.0))
    assert ledger.link.unanswered == 1_000


def test_a_flight_given_up_before_it_was_written_leaves_the_link_free() -> None:
    ledger = a_ledger()
    number = ledger.enter("flight", 1_000, Seconds(3.0), Seconds(2.0))
    ledger.expire(Seconds(3.0))
    ledger.withdraw(number)
    assert ledger.link.unanswered == 0


def test_a_broken_connection_gives_back_every_flight() -> None:
    ledger = a_ledger()
    for name in ("a", "b"):
        ledger.enter(name, 1_000, Seconds(3.0), Seconds(2.0))
    assert ledger.abandon() == ["a", "b"]
    assert (len(ledger), ledger.link.unanswered, ledger.next_due) == (0, 0, None)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["enter", "settle", "fail", "expire", "abandon", "stray"]), st.integers(0, 30)),
    max_size=60,
)


@given(ACTIONS)
def test_every_flight_comes_back_exactly_once_and_numbers_are_never_used_twice(actions: list[tuple[str, int]]) -> None:
    ledger: Ledger[int] = Ledger(LinkEstimator())
    now, numbers, back = 0.0, [], []
    for action, choice in actions:
        now += 0.1
        known = numbers[choice % len(numbers)] if numbers else 1
        if action == "enter":
            numbers.append(ledger.enter(len(numbers), 100, Seconds(now + 0.1 * choice), Seconds(now)))
        elif action == "settle":
            back.append(ledger.settle(known, EDGE, Seconds(now)))
        elif action == "fail":
            back.append(ledger.fail(known))
        elif action == "expire":
            back.extend(ledger.expire(Seconds(now)))
        elif action == "abandon":
            back.extend(ledger.abandon())
        else:
            assert ledger.settle(10_000 + choice, EDGE, Seconds(now)) is None
    back.extend(ledger.abandon())
    assert sorted(item for item in back if item is not None) == list(range(len(numbers)))
    assert len(set(numbers)) == len(numbers)
    assert ledger.link.unanswered == 0


@given(
    st.floats(1e5, 1e8),
    st.lists(st.tuples(st.integers(100, 50_000), st.floats(0.001, 0.3), st.floats(0.01, 1.0)), max_size=30),
)
def test_no_payload_that_is_predicted_late_ever_goes(rate: float, offers: list[tuple[int, float, float]]) -> None:
    ledger, now = a_ledger(rate=rate, max_unanswered=60_000), 2.0
    for nbytes, gap, patience in offers:
        now += gap
        due = Seconds(now + patience)
        before = ledger.link.unanswered
        predicted = ledger.link.predict(nbytes, Seconds(now))
        if ledger.refusal(nbytes, due, Seconds(now)) == "":
            assert now + predicted <= due
            assert before == 0 or before + nbytes <= 60_000
            ledger.enter("flight", nbytes, due, Seconds(now))
