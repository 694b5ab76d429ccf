"""Which cuts are kept."""

from collections.abc import Iterable

import pytest

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.choose import AUTO, choose_cuts, spread
from tests.builder.building import Capturing


def names(network: Captured, positions: Iterable[int]) -> list[str]:
    return [network.cuts[position].name for position in positions]


def test_all_keeps_every_split(captured: Capturing) -> None:
    network = captured("residual")
    assert choose_cuts(network, "all") == tuple(cut.position for cut in network.cuts if cut.split)


def test_auto_keeps_at_most_ten_with_the_ends_and_prefers_block_ends(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    kept = names(network, choose_cuts(network, "auto"))
    assert len(kept) <= AUTO + 2
    assert (kept[0], kept[-1]) == ("input", "output")
    assert set(kept[1:-1]) <= {"relu", "layer1", "layer2", *(f"layer{k}.{n}" for k in (1, 2, 3) for n in range(3))}


def test_the_end_of_a_stretch_with_the_smallest_feature_is_kept(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    assert names(network, spread(network, 1)) == ["layer3.1"]


def test_cuts_that_would_leave_the_edge_nothing_to_do_are_not_kept(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    assert {"mean", "layer3"}.isdisjoint(names(network, choose_cuts(network, "auto")))


def test_a_branch_keeps_its_cut_and_stands_for_its_stretch(captured: Capturing) -> None:
    network = captured("zoo:resnet20")
    branch = network.position("layer2.1.add")
    with_branch = choose_cuts(network, "auto", branches=[branch])
    assert branch in with_branch
    assert len(with_branch) <= len(choose_cuts(network, "auto"))


def test_a_number_is_how_many_inner_cuts_are_kept(captured: Capturing) -> None:
    assert len(choose_cuts(captured("zoo:resnet20"), "3")) == 5


def test_names_and_positions_are_kept_as_given_with_the_ends(captured: Capturing) -> None:
    network = captured("residual")
    assert names(network, choose_cuts(network, "stem, blocks.0")) == ["input", "stem", "blocks.0", "output"]
    assert choose_cuts(network, "3,") == (0, 3, network.end)


@pytest.mark.parametrize(
    ("request_", "message"), [("steam,", "did you mean 'stem'"), ("-1", "0 or more"), ("99,", "99")]
)
def test_what_no_cut_is_called_is_refused(captured: Capturing, request_: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        choose_cuts(captured("residual"), request_)
