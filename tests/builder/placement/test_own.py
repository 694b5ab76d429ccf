"""Exits that a network brings along: which tensors are its logits, and what becomes of their heads."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.branches.placing import place_branches
from offramp_builder.capture import Captured, capture
from offramp_builder.features import run_to
from offramp_builder.placement.own import named_logits
from offramp_builder.preprocess import preprocessor
from offramp_builder.verify import verify_slices
from tests.support.models import IMAGE, Case, conv

Answers = Callable[[Tensor, Tensor, Tensor], object]
LOGITS = torch.zeros(2, 5)


class WithExits(nn.Module):
    """One exit inside a residual block, with a head that has layers of its own; one behind the block."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self.stem, self.before, self.after, self.deep = conv(3, 8), conv(8, 8), conv(8, 8), conv(8, 16, stride=2)
        self.early = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.first, self.second, self.end = nn.Linear(8, 5), nn.Linear(8, 5), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> object:
        stem = self.stem(x)
        inside = self.before(stem)
        block = self.after(inside) + stem
        first = self.first(self.early(inside))
        second = self.second(block.mean((2, 3)))
        return self.answers(first, second, self.end(self.deep(block).mean((2, 3))))


def captured_with(answers: Answers) -> Captured:
    module = Case(lambda: WithExits(answers), IMAGE).module()
    return capture(module, IMAGE, preprocessor(IMAGE))


def hanging(network: Captured) -> list[tuple[str, str]]:
    return [(own.name, network.cuts[own.position].name) for own in network.own]


def test_heads_hang_where_they_leave_the_road_and_answer_as_the_original() -> None:
    network = captured_with(lambda first, second, end: [first, second, end])
    assert hanging(network) == [("0", "before"), ("1", "add")]
    at = run_to(network, [own.position for own in network.own], network.examples)
    expected = network.road.answers(network.examples)
    for own in network.own:
        torch.testing.assert_close(own.network(at[own.position][0]), expected[own.name], rtol=1e-4, atol=1e-5)
    assert network.cuts[network.own[0].position].split is False
    verify_slices(network, network.examples)


def test_in_a_mapping_the_end_has_a_name_wherever_it_stands() -> None:
    network = captured_with(lambda first, second, end: {"final": end, "early": first, "late": second})
    assert hanging(network) == [("early", "before"), ("late", "add")]


def test_an_exit_that_builds_upon_another_computes_it_anew_from_where_both_are_determined() -> None:
    network = captured_with(lambda first, second, end: [first, first + second, end])
    assert hanging(network) == [("1", "stem"), ("0", "before")]
    verify_slices(network, network.examples)


def test_an_end_that_others_lie_behind_is_refused() -> None:
    with pytest.raises(ModelError, match="'1' are taken for the end of the network, but '0' lie further on"):
        captured_with(lambda _first, second, end: (end, second))


def test_two_exits_at_one_place_are_refused_when_they_are_to_become_branches() -> None:
    network = captured_with(lambda first, second, end: [first, 2 * first, second, end])
    with pytest.raises(ModelError, match="'0' and '1' of the network hang on one place, before"):
        place_branches(network, "own")


def test_a_network_without_exits_of_its_own_says_so() -> None:
    network = captured_with(lambda _first, _second, end: end)
    assert network.own == ()
    with pytest.raises(ModelError, match="no exits of its own"):
        place_branches(network, "own")


@pytest.mark.parametrize(
    ("output", "names", "end"),
    [
        (LOGITS, [""], ""),
        ((LOGITS, torch.zeros(2, 7)), ["0"], "0"),
        ([LOGITS, LOGITS, LOGITS], ["0", "1", "2"], "2"),
        ({"logits": LOGITS, "hidden": torch.zeros(2, 3, 4)}, ["logits"], "logits"),
        ({"final": LOGITS, "a": LOGITS, "loss": torch.zeros(())}, ["final", "a"], "final"),
        ({"a": LOGITS, "b": LOGITS}, ["a", "b"], "b"),
    ],
)
def test_logits_are_what_has_the_shape_of_the_end(output: object, names: list[str], end: str) -> None:
    found, last = named_logits(output)
    assert (list(found), last) == (names, end)


@pytest.mark.parametrize("output", [{"hidden": LOGITS}, {"a": LOGITS, "b": torch.zeros(2, 7)}, None, {}])
def test_what_has_no_end_is_refused(output: object) -> None:
    with pytest.raises(ModelError, match="no logits to be found"):
        named_logits(output)
