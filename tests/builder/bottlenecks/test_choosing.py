"""Which codecs are worth trying on a code."""

from offramp_builder.bottlenecks.choosing import Judged, worth_trying


def chosen(*judged: tuple[float, float]) -> list[float]:
    """Bytes of those that are worth trying, of (bytes, accuracy) with the cheapest first."""
    made = tuple(Judged(codec=f"{nbytes:g}", nbytes=nbytes, accuracy=accuracy) for nbytes, accuracy in judged)
    return [float(codec) for codec in worth_trying(made)]


def test_what_costs_more_and_answers_no_better_is_left_out() -> None:
    assert chosen((10, 0.5), (20, 0.5), (30, 0.8), (40, 0.7)) == [10, 30]


def test_of_codecs_that_are_nearly_as_large_the_cheapest_is_tried() -> None:
    assert chosen((100, 0.5), (110, 0.6), (130, 0.7), (150, 0.8), (200, 0.9)) == [100, 130, 200]


def test_the_best_is_always_tried() -> None:
    assert chosen((10, 0.5), (100, 0.8), (101, 0.9)) == [10, 101]
    assert chosen((100, 0.8), (101, 0.9)) == [100, 101]
