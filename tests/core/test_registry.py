import pytest

from offramp.errors import UnknownNameError
from offramp.registry import Catalogue, unknown

SHAPES = Catalogue("shape", [("round", 1), ("square", 2)])


def test_a_name_gives_its_entry() -> None:
    assert SHAPES["square"] == 2
    assert list(SHAPES) == ["round", "square"]
    assert len(SHAPES) == 2


def test_a_missing_name_lists_those_there_are_and_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no shape 'rund'; did you mean 'round'. known: round, square"):
        SHAPES["rund"]


def test_asking_whether_a_name_is_there_is_no_error() -> None:
    assert "round" in SHAPES
    assert "triangle" not in SHAPES


def test_a_repeated_name_fails_when_the_catalogue_is_made() -> None:
    with pytest.raises(ValueError, match="the shape catalogue holds 'round' twice"):
        Catalogue("shape", [("round", 1), ("round", 2)])


def test_an_empty_catalogue_says_that_it_knows_none() -> None:
    assert unknown("shape", "round", []) == "there is no shape 'round'; known: none"


def test_an_entry_from_outside_is_found_like_any_other_and_takes_no_name_away() -> None:
    shapes = Catalogue("shape", [("round", 1)])
    shapes.add("oval", 3)
    assert shapes["oval"] == 3
    with pytest.raises(ValueError, match="has a 'round' already; choose another name"):
        shapes.add("round", 2)
