"""Running medians of what takes time, and profiles that they keep young."""

import random

import pytest

from offramp.measure.profile import Cost, Profile
from offramp.measure.speeds import FEW, Speeds, retimed


def a_profile() -> Profile:
    return Profile(
        model_digest="0" * 64,
        host="a board",
        threads=1,
        slowdown=1.0,
        end=2,
        segments={name: Cost(median=0.010, p95=0.015) for name in ("0-1", "0-1+branch", "1-2")},
        encode={"1:affine8": Cost(median=0.001, p95=0.002)},
        decode={"1:affine8": Cost(median=0.001, p95=0.002)},
    )


def noted(name: str, *seconds: float) -> Speeds:
    speeds = Speeds()
    for one in seconds:
        speeds.note(name, one)
    return speeds


def long_tailed(seconds: float, count: int, seed: int = 1) -> list[float]:
    """Mostly `seconds` and a little more, now and then a stall of ten times as much."""
    rng = random.Random(seed)
    return [seconds * (10.0 if rng.random() < 0.05 else 0.93 + rng.expovariate(10.0)) for _ in range(count)]


def test_what_always_takes_the_same_is_known_exactly() -> None:
    assert noted("0-1", *[0.003] * FEW).values() == {"0-1": 0.003}


def test_nothing_is_said_of_what_has_hardly_run() -> None:
    assert noted("0-1", *[0.003] * (FEW - 1)).values() == {}


def test_a_slow_start_and_stalls_do_not_move_the_median() -> None:
    speeds = noted("0-1", 0.1, *long_tailed(0.010, 500))
    assert speeds.values()["0-1"] == pytest.approx(0.010, rel=0.08)


def test_a_slow_first_run_is_forgotten_as_soon_as_anything_is_said() -> None:
    assert noted("0-1", 0.1, *[0.010] * (FEW - 1)).values() == {"0-1": 0.010}


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_board_that_throttles_is_known_after_thirty_notes(factor: float) -> None:
    speeds = noted("0-1", *long_tailed(0.010, 500), *long_tailed(0.010 * factor, 30, seed=2))
    assert speeds.values()["0-1"] == pytest.approx(0.010 * factor, rel=0.2)


def test_a_batch_is_shared_by_its_requests() -> None:
    speeds = Speeds()
    for _ in range(FEW):
        speeds.note("1-2", 0.032, requests=8)
    assert speeds.values() == {"1-2": pytest.approx(0.004)}


def test_only_what_moved_is_reported_and_only_once() -> None:
    speeds = noted("0-1", *[0.010] * FEW)
    for _ in range(FEW):
        speeds.note("1-2", 0.020)
    reported = {"0-1": 0.0098}
    assert speeds.changes(reported) == {"1-2": pytest.approx(0.020)}
    assert speeds.changes(reported | speeds.changes(reported)) == {}


def test_noise_is_hardly_ever_reported() -> None:
    speeds, reported, reports = Speeds(), dict[str, float](), 0
    for seconds in long_tailed(0.010, 5_000):
        speeds.note("0-1", seconds)
        moved = speeds.changes(reported)
        reported |= moved
        reports += len(moved)
    assert 1 <= reports < 50


def test_measured_names_replace_those_of_the_profile_and_keep_the_shape_of_their_tail() -> None:
    profile = retimed(a_profile(), {"0-1": 0.030, "encode 1:affine8": 0.0005})
    assert profile.segments["0-1"] == Cost(median=pytest.approx(0.030), p95=pytest.approx(0.045))
    assert profile.encode["1:affine8"] == Cost(median=pytest.approx(0.0005), p95=pytest.approx(0.001))


def test_what_never_ran_is_scaled_as_its_kind_was() -> None:
    profile = retimed(a_profile(), {"0-1": 0.030, "0-1+branch": 0.030})
    assert profile.segment(1, 2).median == pytest.approx(0.030)
    assert profile.decode == a_profile().decode


def test_names_that_the_profile_lacks_are_ignored() -> None:
    assert retimed(a_profile(), {"0-7": 1.0, "encode 3:none": 1.0}) == a_profile()
