"""Hearing what a network says inside, while it runs as it is written: for whatever learns together with a trunk.

A captured graph cannot be trained: it is the network in evaluation mode. Its tensors are heard in the original instead,
where they enter or leave a module. Which module that is, is found by trying: all modules are heard once on a few
samples, and the place is where the values are those of the graph. So it does not matter how the network is written, as
long as a module gives or takes the tensor.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.features import run_to
from offramp_builder.quiet import quietly
from offramp_builder.refusals import SAME, largest_difference


class Place(NamedTuple):
    """Where a tensor is heard."""

    module: str
    """Its name inside the trunk."""
    call: int = 0
    """Which of its calls, where it is called several times for one batch."""
    leaving: bool = True
    """Whether the tensor leaves the module; else it enters."""
    member: int = 0
    """Which of the tensors there, where there are several."""


class Listener:
    """Hears the tensors at some places, with their gradients; a context manager, since a trunk with hooks is not whole.

    After each call of `trunk` the tensors of that call are in `heard`.
    """

    def __init__(self, trunk: nn.Module, places: Sequence[Place]) -> None:
        self.heard: dict[Place, Tensor] = {}
        self._places = frozenset(places)
        self._calls: Counter[str] = Counter()
        self._hooks: list[Any] = [trunk.register_forward_pre_hook(self._begin)]
        for name in dict.fromkeys(place.module for place in places):
            module = trunk.get_submodule(name)
            self._hooks += [
                module.register_forward_pre_hook(self._entering(name)),
                module.register_forward_hook(self._leaving(name)),
            ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _begin(self, _module: nn.Module, _inputs: Any) -> None:
        self.heard.clear()
        self._calls.clear()

    def _entering(self, name: str) -> Any:
        def listen(_module: nn.Module, inputs: Any) -> None:
            self._note(name, inputs, leaving=False)

        return listen

    def _leaving(self, name: str) -> Any:
        def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._note(name, output, leaving=True)
            self._calls[name] += 1

        return listen

    def _note(self, name: str, value: Any, *, leaving: bool) -> None:
        for member, tensor in enumerate(_tensors(value)):
            place = Place(name, self._calls[name], leaving, member)
            if place in self._places:
                self.heard[place] = tensor.clone()  # a later in-place operation would change it unnoticed


def find_places(captured: Captured, positions: Sequence[int]) -> dict[int, Place]:
    """Where the tensor that a branch reads at each position is heard; positions are missing where no module has it.

    Of several places the earliest is taken: before a dropout, which in evaluation mode changes nothing.
    """
    trunk, batch = captured.road, captured.examples
    wanted = {position: tensors[0] for position, tensors in run_to(captured, positions, batch).items()}
    found: dict[int, Place] = {}

    def compare(place: Place, tensor: Tensor) -> None:
        for position, expected in wanted.items():
            if position not in found and _same(tensor, expected):
                found[position] = place

    calls: Counter[str] = Counter()

    def note(name: str, value: Any, *, leaving: bool) -> None:
        for member, tensor in enumerate(_tensors(value)):
            compare(Place(name, calls[name], leaving, member), tensor)
        calls[name] += leaving

    hooks = []
    for name, module in trunk.named_modules():
        if name:
            hooks += [
                module.register_forward_pre_hook(lambda _m, inputs, name=name: note(name, inputs, leaving=False)),
                module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output, leaving=True)),
            ]
    try:
        with quietly():
            trunk(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def place_at(captured: Captured, positions: Sequence[int]) -> list[Place]:
    """Where the tensors that branches read are heard, all of them.

    Raises:
        ModelError: No module gives or takes one of them.
    """
    found = find_places(captured, positions)
    for position in positions:
        if position not in found:
            near = [captured.cuts[one].name for one in find_places(captured, range(1, captured.end))]
            raise ModelError(
                f"{captured.cuts[position].name} is neither given nor taken by a module, so nothing can be trained on "
                f"it together with the network; take {', '.join(near[:12]) or 'a frozen trunk'}, or wrap the operation "
                f"in a module"
            )
    return [found[position] for position in positions]


def _same(tensor: Tensor, expected: Tensor) -> bool:
    if tensor.shape != expected.shape or tensor.dtype != expected.dtype:
        return False
    return torch.equal(tensor, expected) or largest_difference(tensor, expected) <= SAME


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            if isinstance(item, Tensor):
                yield item
