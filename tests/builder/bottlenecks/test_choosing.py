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


def test_what_adapts_is_tried_where_nothing_cheaper_of_any_kind_is_as_good() -> None:
    judged = [
        Judged(codec="affine2:1", nbytes=10, accuracy=0.5),
        Judged(codec="affine2:sure6", nbytes=15, accuracy=0.5),
        Judged(codec="affine2:sure8", nbytes=20, accuracy=0.7),
        Judged(codec="affine2:2", nbytes=30, accuracy=0.6),
        Judged(codec="affine2:sure9", nbytes=40, accuracy=0.7),
        Judged(codec="affine2", nbytes=50, accuracy=0.8),
    ]
    assert worth_trying(judged) == ("affine2:1", "affine2:2", "affine2", "affine2:sure8")
