"""A segment's graph as a program: a list of functions over slots, made once and run for every batch.

    slots  [None │ weights … │ inputs … │ what is computed …]
    step   (function, slots it reads, slots it writes, slots that nobody reads any more)

Sizes (what Shape yields, and what is computed from it) stay on the host: reading a number off a GPU waits for all that
the GPU was given before. A step that wants numbers gets them as Python numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.errors import BundleError
from offramp.runtime.torch_ops.catalog import OPSETS, find_operator
from offramp.runtime.torch_ops.operator import Function, Node, Operator
from offramp.runtime.torch_ops.weights import Weights

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto, NodeProto, TensorProto

_ABSENT = 0
"""The slot that holds None."""


class _Step(NamedTuple):
    function: Function
    reads: tuple[int, ...]
    writes: int
    """The slot of the only output; -1 when there are several."""
    several: tuple[int, ...]
    """The slots of several outputs; those that nobody reads are `_ABSENT`."""
    frees: tuple[int, ...]


class Program:
    """Runs a graph; has no state of its own, so several threads may run it at once."""

    def __init__(self, slots: list[Any], inputs: Sequence[int], outputs: Sequence[int], steps: Sequence[_Step]) -> None:
        self._slots = slots
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._steps = tuple(steps)
        self.weights = [slot for slot in slots if hasattr(slot, "untyped_storage")]
        """What a result may be part of, and must not when it is handed out."""

    def run(self, inputs: Sequence["torch.Tensor"]) -> list["torch.Tensor"]:
        """Outputs, in the graph's order; they may share memory with inputs and weights."""
        slots = self._slots.copy()
        for slot, tensor in zip(self._inputs, inputs, strict=True):
            slots[slot] = tensor
        for function, reads, writes, several, frees in self._steps:
            result = function(*[slots[slot] for slot in reads])
            if writes >= 0:
                slots[writes] = result
            else:
                for slot, part in zip(several, result, strict=False):
                    if slot != _ABSENT:
                        slots[slot] = part
            for slot in frees:
                slots[slot] = None
        return [slots[slot] for slot in self._outputs]


def translate(model: "ModelProto", file: str, weights: Weights, torch_device: "torch.device") -> Program:
    """The program of a graph.

    Args:
        model: As it was read, its weights still outside.
        file: Where it lies in the bundle.
        weights: Of the bundle.
        torch_device: Where the program runs.

    Raises:
        BundleError: The graph has an operator, or a form of it, that the table does not hold.
    """
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version not in OPSETS:
            raise BundleError(
                f"the torch runtime reads opsets {OPSETS[0]} to {OPSETS[-1]}, not {opset.version}; "
                "use --runtime onnx for this bundle"
            )
    return _Translation(model, file, weights, torch_device).program()


class _Translation:
    """One graph on its way to a program."""

    def __init__(self, model: "ModelProto", file: str, weights: Weights, torch_device: "torch.device") -> None:
        self._graph = model.graph
        self._file = file
        self._weights = weights
        self._torch_device = torch_device
        self._protos: dict[str, TensorProto] = {proto.name: proto for proto in self._graph.initializer}
        self._slots: list[Any] = [None]
        self._places: dict[tuple[str, str], int] = {}  # (value, where or as what it is needed) to its slot
        self._sizes: set[str] = set()  # values that live on the host
        self._steps: list[_Step] = []

    def program(self) -> Program:
        inputs = [self._new(value.name, "data") for value in self._graph.input if value.name not in self._protos]
        for node in self._graph.node:
            self._add(node)
        outputs = [self._data(value.name) for value in self._graph.output]
        return Program(self._slots, inputs, outputs, list(_freeing(self._steps, keep={*inputs, *outputs})))

    def _add(self, proto: "NodeProto") -> None:
        if proto.op_type == "Constant" and not proto.domain:
            self._protos[proto.output[0]] = _constant(proto)
            return
        operator = find_operator(proto.op_type, proto.domain)
        if proto.op_type == "Identity" and proto.input[0] in self._protos:
            self._protos[proto.output[0]] = self._protos[proto.input[0]]
            return
        on_host = operator.yields_sizes or self._is_about_sizes(proto, operator)
        function = operator.build(self._node(proto))
        reads = tuple(self._read(name, index, operator, on_host) for index, name in enumerate(proto.input))
        if on_host:
            self._sizes.update(proto.output)
        written = tuple(self._new(name, "data") if name else _ABSENT for name in proto.output)
        one = len(written) == 1 and proto.op_type not in _SEVERAL
        self._steps.append(_Step(function, reads, written[0] if one else -1, written, ()))

    def _node(self, proto: "NodeProto") -> Node:
        from onnx.helper import get_attribute_value

        known = {index: self._protos[name] for index, name in enumerate(proto.input) if name in self._protos}
        return Node(
            kind=proto.op_type,
            attributes={attribute.name: get_attribute_value(attribute) for attribute in proto.attribute},
            inputs=len(proto.input),
            shapes={index: tuple(weight.dims) for index, weight in known.items()},
            read=lambda index: self._weights.array(known[index], self._file),
            outputs=len(proto.output),
            torch_device=self._torch_device,
        )

    def _is_about_sizes(self, proto: "NodeProto", operator: Operator) -> bool:
        data = [name for index, name in enumerate(proto.input) if index not in operator.host and name]
        computed = [name for name in data if name not in self._protos]
        return bool(computed) and all(name in self._sizes for name in computed)

    def _read(self, name: str, index: int, operator: Operator, on_host: bool) -> int:
        if not name or index in operator.built_in:
            return _ABSENT
        if index in operator.host:
            return self._numbers(name)
        # Shape reads no numbers: whatever it is given stays where it is.
        return self._on_host(name) if on_host and not operator.yields_sizes else self._data(name)

    def _data(self, name: str) -> int:
        """The slot of a value on the torch device."""
        if name in self._protos:
            return self._kept(name, "data", lambda: self._weights.tensor(self._protos[name], self._file))
        if name in self._sizes:
            torch_device = self._torch_device
            return self._derived(name, "moved", lambda value: value.to(torch_device))
        return self._known(name)

    def _on_host(self, name: str) -> int:
        import torch

        if name in self._protos:
            return self._kept(name, "host", lambda: torch.from_numpy(self._array(name)))
        return self._known(name)

    def _numbers(self, name: str) -> int:
        """The slot of a value as a Python number or list of them."""
        if name in self._protos:
            return self._kept(name, "numbers", lambda: self._array(name).tolist())
        return self._derived(name, "numbers", lambda value: value.tolist())

    def _known(self, name: str) -> int:
        if (name, "data") not in self._places:
            raise BundleError(f"{self._file} reads {name!r} before it is computed; build the bundle again")
        return self._places[name, "data"]

    def _kept(self, name: str, form: str, make: Callable[[], Any]) -> int:
        if (name, form) not in self._places:
            self._slots[self._new(name, form)] = make()
        return self._places[name, form]

    def _derived(self, name: str, form: str, function: Function) -> int:
        if (name, form) not in self._places:
            source = self._known(name)
            self._steps.append(_Step(function, (source,), self._new(name, form), (), ()))
        return self._places[name, form]

    def _new(self, name: str, form: str) -> int:
        self._places[name, form] = len(self._slots)
        self._slots.append(None)
        return self._places[name, form]

    def _array(self, name: str) -> NDArray[Any]:
        return self._weights.array(self._protos[name], self._file)


_SEVERAL = frozenset({"GRU", "LSTM", "RNN", "Split", "TopK"})
"""Operators whose functions return a sequence, even when one output alone is named."""


def _freeing(steps: Sequence[_Step], keep: set[int]) -> Iterator[_Step]:
    """The steps, each letting go of what is read there for the last time, or never."""
    last: dict[int, int] = {}
    written: set[int] = set()
    for index, step in enumerate(steps):
        new = {step.writes} if step.writes >= 0 else set(step.several)
        written |= new
        last.update(dict.fromkeys({*step.reads, *new}, index))
    frees: dict[int, list[int]] = {}
    for slot, index in last.items():
        if slot in written and slot not in keep and slot != _ABSENT:
            frees.setdefault(index, []).append(slot)
    for index, step in enumerate(steps):
        yield step._replace(frees=tuple(frees.get(index, ())))


def _constant(proto: "NodeProto") -> "TensorProto":
    from onnx import numpy_helper
    from onnx.helper import get_attribute_value

    (attribute,) = proto.attribute
    value = get_attribute_value(attribute)
    dtypes = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    if attribute.name == "value":
        tensor: TensorProto = value
        return tensor
    if attribute.name not in dtypes:
        raise BundleError(
            f"the torch runtime has no constant with {attribute.name}; use --runtime onnx for this bundle"
        )
    return numpy_helper.from_array(np.asarray(value, dtypes[attribute.name]))
