"""Hearing a network's tensors while it runs: the right ones, however it is written."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp_builder.capture import Captured, capture
from offramp_builder.cuts import FoundCut
from offramp_builder.features import run_to
from offramp_builder.training.listening import Listener, Place, find_places, place_at
from tests.builder.building import Capturing

VECTOR = SampleSpec(kind="array", shape=(6,), dtype="float32")


def of(network: nn.Module) -> Captured:
    torch.manual_seed(0)
    return capture(network, VECTOR, nn.Identity())


def heard_and_found(captured: Captured) -> dict[str, tuple[Tensor, Tensor]]:
    """What is heard at every cut that can be heard, beside what the graph says there."""
    places = find_places(captured, range(1, captured.end))
    expected = run_to(captured, list(places), captured.examples)
    with Listener(captured.road, list(places.values())) as listener, torch.no_grad():
        captured.road(captured.examples)
        return {
            captured.cuts[position].name: (listener.heard[place], expected[position][0])
            for position, place in places.items()
        }


class Functional(nn.Module):
    """One layer called twice, rectified by functions, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.twice(x))
        x = self.twice(x).tanh_() * 2.0
        logits: Tensor = self.last(x)
        return logits


def test_every_cut_of_a_residual_network_is_heard_as_the_graph_says_it(captured: Capturing) -> None:
    network = captured("zoo:resnet8")
    found = heard_and_found(network)
    assert {"layer1", "layer2", "relu"} <= set(found)
    for heard, expected in found.values():
        torch.testing.assert_close(heard, expected, rtol=1e-4, atol=1e-4)


def test_functions_between_modules_are_heard_where_the_next_module_takes_them() -> None:
    captured = of(Functional())
    places = find_places(captured, range(1, captured.end))
    by_name = {captured.cuts[position].name: place for position, place in places.items()}
    assert by_name["relu"] == Place("model.twice", call=1, leaving=False)
    assert all(torch.allclose(heard, expected, atol=1e-6) for heard, expected in heard_and_found(captured).values())


def test_what_no_module_gives_or_takes_is_refused_with_what_there_is() -> None:
    captured = of(Functional())
    tanh = next(cut.position for cut in captured.cuts if "tanh" in cut.name)
    with pytest.raises(ModelError, match="tanh is neither given nor taken by a module.*take .*relu"):
        place_at(captured, [tanh])


def test_gradients_go_through_what_is_heard() -> None:
    captured = of(Functional())
    (place,) = place_at(captured, [next(cut for cut in captured.cuts if cut.name == "relu").position])
    with Listener(captured.road, [place]) as listener:
        captured.road(captured.examples)
        listener.heard[place].sum().backward()
    weight = captured.road.get_parameter("model.twice.weight")
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_a_trunk_is_whole_again_when_nobody_listens_any_more() -> None:
    captured = of(Functional())
    with Listener(captured.road, [Place("model.twice")]):
        pass
    assert not any(_hooks(module) for module in captured.road.modules())


def _hooks(module: nn.Module) -> list[Any]:
    return [*module._forward_hooks, *module._forward_pre_hooks]


def test_branches_inside_blocks_are_heard_too(captured: Capturing) -> None:
    network = captured("zoo:resnet8")
    inside: list[FoundCut] = [cut for cut in network.cuts if not cut.split]
    assert inside
    assert set(find_places(network, [cut.position for cut in inside])) == {cut.position for cut in inside}
