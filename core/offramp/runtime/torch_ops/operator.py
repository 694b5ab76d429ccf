"""What an operator is: something that turns a node into a function over tensors, once, when a segment is opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from offramp.errors import BundleError

if TYPE_CHECKING:
    import torch

Function = Callable[..., Any]
"""A node's inputs, in order, to its output, or to a sequence of its outputs. An absent input is None."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One node of a graph, as far as it is known before it runs."""

    kind: str
    """The operator's name."""
    attributes: Mapping[str, Any]
    inputs: int
    shapes: Mapping[int, tuple[int, ...]]
    """Of the inputs that are weights, by position."""
    read: Callable[[int], NDArray[Any]]
    """The numbers of one of these."""
    outputs: int
    """How many of them are named; trailing ones that nobody reads are not."""
    torch_device: "torch.device"

    def attribute(self, name: str, default: Any = None) -> Any:
        """Text comes as str, whatever else as onnx has it."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def expect(self, **values: Any) -> None:
        """Every attribute named has its value, or is absent.

        Raises:
            BundleError: One has another, which torch would not follow.
        """
        for name, expected in values.items():
            found = self.attribute(name, expected)
            if found != expected:
                raise self.refusal(f"{name}={found}")

    def only_first_output(self) -> None:
        """Raises BundleError when another output is read."""
        if self.outputs > 1:
            raise self.refusal(f"{self.outputs} outputs")

    def weight(self, index: int) -> NDArray[Any]:
        """An input that must be a weight, since it is rearranged here and now.

        Raises:
            BundleError: It is computed.
        """
        self.shape(index)
        return self.read(index)

    def shape(self, index: int) -> tuple[int, ...]:
        """Of an input that must be a weight, since what the node is depends on it.

        Raises:
            BundleError: It is computed.
        """
        if index not in self.shapes:
            raise self.refusal(f"a computed input {index}")
        return self.shapes[index]

    def refusal(self, what: str) -> BundleError:
        """The operator is known, but not `what` about it."""
        return BundleError(f"the torch runtime has no {self.kind} with {what}; use --runtime onnx for this bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """How nodes of one kind become functions."""

    build: Callable[[Node], Function]
    host: Sequence[int] = ()
    """Inputs that the function takes as numbers or lists of numbers: shapes, axes, bounds."""
    built_in: Sequence[int] = ()
    """Inputs that `build` reads with Node.weight, and that the function is given no more (they are None)."""
    yields_sizes: bool = False
    """The result is about a shape: it stays on the host, where shapes are needed."""


def always(function: Function, *, host: Sequence[int] = ()) -> Operator:
    """An operator whose attributes change nothing."""
    return Operator(build=lambda node: function, host=host)  # noqa: ARG005 - every builder is given its node
