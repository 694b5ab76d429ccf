"""The price: nothing where there is room, more with every load, and no swinging."""

import itertools

import pytest

from offramp.units import Seconds
from offramp_edge_server.price import FALL, KNEE, MAX_PRICE, RISE, price_of, smoothed

SECOND = Seconds(1.0)


@pytest.mark.parametrize("waiting", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("busy", [0.0, 0.3, KNEE])
def test_below_the_knee_nobody_has_to_be_spared(busy: float, waiting: float) -> None:
    assert price_of(busy, waiting) == 0.0


@pytest.mark.parametrize("waiting", [0.0, 1.0, 50.0])
def test_the_price_grows_with_the_load_and_without_a_jump(waiting: float) -> None:
    prices = [price_of(step / 1000, waiting) for step in range(1001)]
    assert prices == sorted(prices)
    assert max(after - before for before, after in itertools.pairwise(prices)) < 0.01 * (1 + waiting)


def test_the_price_grows_with_those_who_wait() -> None:
    assert price_of(0.9, 3.0) == pytest.approx(2 * price_of(0.9, 0.0))


def test_a_saturated_edge_charges_as_much_again_as_its_work_takes() -> None:
    assert price_of(1.0, 0.0) == pytest.approx(1.0)


def test_the_price_has_an_end() -> None:
    assert price_of(1.0, 1e9) == MAX_PRICE


def test_a_price_rises_faster_than_it_falls() -> None:
    up, down = smoothed(0.0, 1.0, SECOND), 1.0 - smoothed(1.0, 0.0, SECOND)
    assert 0 < down < up < 1


@pytest.mark.parametrize(("before", "called_for", "patience"), [(0.0, 8.0, RISE), (8.0, 0.0, FALL)])
def test_smoothing_does_not_depend_on_how_often_it_is_done(before: float, called_for: float, patience: Seconds) -> None:
    once = smoothed(before, called_for, patience)
    often = before
    for _ in range(10):
        often = smoothed(often, called_for, Seconds(patience / 10))
    assert often == pytest.approx(once)


def test_a_price_that_is_not_called_for_any_more_ends_at_nothing() -> None:
    price = 5.0
    for _ in range(200):
        price = smoothed(price, 0.0, SECOND)
    assert price == 0.0


def followed(offered: float, *, delay: int, rate: float) -> tuple[list[float], list[float]]:
    """Prices and busy shares of the later of 300 seconds, when offered work falls as 1 / (1 + price), `delay` seconds
    after the price was asked; what is too much waits, for a second at most, and is done later."""
    price, queue, prices, shares = 0.0, 0.0, [0.0] * delay, []
    for _ in range(300):
        work = queue + offered / (1 + prices[-delay])
        queue = min(max(work - 1, 0.0), 1.0)
        shares.append(min(work, 1.0))
        prices.append(price)
        price = smoothed(price, price_of(shares[-1], rate * queue), SECOND)
    return prices[-100:], shares[-100:]


@pytest.mark.parametrize("rate", [3, 10, 100])
@pytest.mark.parametrize("delay", [1, 2])
@pytest.mark.parametrize("offered", [0.5, 1.0, 1.5, 2.0])
def test_with_twice_the_work_that_it_can_do_an_edge_settles(offered: float, delay: int, rate: int) -> None:
    prices, _ = followed(offered, delay=delay, rate=rate)
    assert max(prices) - min(prices) < 0.01


@pytest.mark.parametrize("rate", [3, 10, 100])
@pytest.mark.parametrize("delay", [1, 2])
@pytest.mark.parametrize("offered", [3.0, 5.0])
def test_with_far_too_much_work_the_price_does_not_empty_the_edge(offered: float, delay: int, rate: int) -> None:
    prices, shares = followed(offered, delay=delay, rate=rate)
    assert min(shares) > 0.7
    assert max(prices) < 2 * min(prices)
