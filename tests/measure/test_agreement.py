"""What labels are worth that resemble their neighbours."""

import random

import pytest

from offramp.measure.agreement import SCENE, Estimate, Label, agreement, wilson


def labels(*agree: bool, spacing: int = 1, weight: float = 1.0, step: int = 0) -> list[Label]:
    return [Label(place * spacing, 0, step, said, weight) for place, said in enumerate(agree)]


def scenes(count: int, share: float, seed: int = 1) -> list[bool]:
    """Every scene agrees throughout or disagrees throughout."""
    rng = random.Random(seed)
    return [said for _ in range(count) for said in [rng.random() < share] * SCENE]


def of(found: list[Label], step: int = 0) -> Estimate:
    (estimate,) = agreement(found, [step])
    assert estimate is not None
    return estimate


def test_no_labels_say_nothing() -> None:
    assert agreement([], [0, 3]) == [None, None]
    assert agreement(labels(True, step=2), [2, 3])[1] is None


def test_a_label_stands_for_as_many_samples_as_it_was_drawn_from() -> None:
    mixed = [*labels(True, True, weight=20.0), *labels(False, False, False, False, weight=5.0)]
    assert of(mixed).value == pytest.approx(40 / 60)


def test_only_labels_that_reach_a_step_count_there() -> None:
    mixed = [*labels(False, False, step=1), *labels(True, True, True, step=4)]
    loose, strict = agreement(mixed, [1, 4])
    assert loose is not None
    assert strict is not None
    assert (loose.value, strict.value) == (pytest.approx(0.6), 1.0)


def test_a_scene_that_says_the_same_throughout_counts_once() -> None:
    together = of(labels(*scenes(60, 0.8)))
    assert (together.low, together.high) == pytest.approx(wilson(together.value, 60), abs=0.02)


def test_neighbours_that_have_nothing_in_common_count_each() -> None:
    shuffled = scenes(60, 0.8)
    random.Random(2).shuffle(shuffled)
    apart = of(labels(*shuffled))
    assert apart.high - apart.low < 0.4 * (of(labels(*scenes(60, 0.8))).high - of(labels(*scenes(60, 0.8))).low)


def test_without_a_disagreement_a_scene_counts_once() -> None:
    assert of(labels(*[True] * 10 * SCENE)).low == pytest.approx(wilson(1.0, 10)[0])


def test_far_apart_every_label_counts() -> None:
    assert of(labels(*[True] * 30, spacing=SCENE)).low == pytest.approx(wilson(1.0, 30)[0])


def test_the_bounds_cover_the_truth_as_often_as_they_say() -> None:
    below = above = 0
    for seed in range(300):
        found = of(labels(*scenes(50, 0.85, seed)))
        below += found.high < 0.85
        above += found.low > 0.85
    assert below <= 0.09 * 300
    assert above <= 0.09 * 300
