"""Recurrent layers, as torch's own modules: their gates stand in another order than ONNX's.

# N samples, L length in time, H hidden units, I inputs, D directions (1 or 2)
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offramp.runtime.torch_ops.operator import Function, Node, Operator

if TYPE_CHECKING:
    from torch import Tensor, nn

_ACTIVATIONS = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "RNN": ["Tanh"]}
_GATES = {
    "GRU": (1, 0, 2),  # ONNX: update, reset, hidden; torch: reset, update, new
    "LSTM": (0, 2, 3, 1),  # ONNX: input, output, forget, cell; torch: input, forget, cell, output
    "RNN": (0,),
}


def recurrent() -> dict[str, Operator]:
    """By name. Needs torch."""
    # Weights, recurrent weights and biases: W, R and B.
    return {name: Operator(build=_build, built_in=(1, 2, 3)) for name in _GATES}


def _build(node: Node) -> Function:
    import torch

    direction = node.attribute("direction", "forward")
    directions = 2 if direction == "bidirectional" else 1
    activations = _ACTIVATIONS[node.kind] * directions
    node.expect(layout=0, clip=None, input_forget=0, activation_alpha=None, activation_beta=None)
    if [_text(name) for name in node.attribute("activations", activations)] != activations:
        raise node.refusal(f"activations={node.attribute('activations')}")
    if node.kind == "GRU" and not node.attribute("linear_before_reset", 0):
        raise node.refusal("linear_before_reset=0")
    module = _module(node, directions)
    backwards, has_cell = direction == "reverse", node.kind == "LSTM"

    def run(x_LNI: "Tensor", *inputs: "Tensor | None") -> tuple["Tensor", ...]:
        # Behind W, R and B: lengths of the sequences, first hidden state, first cell, peepholes.
        lengths, hidden_DNH, cell_DNH, peepholes = (*inputs[3:], None, None, None, None)[:4]
        if lengths is not None or peepholes is not None:
            raise node.refusal("lengths or peepholes")
        if hidden_DNH is None:
            hidden_DNH = x_LNI.new_zeros(directions, x_LNI.shape[1], module.hidden_size)
        if backwards:
            x_LNI = x_LNI.flip(0)
        state: Any = hidden_DNH.contiguous()
        if has_cell:
            state = (state, torch.zeros_like(state) if cell_DNH is None else cell_DNH.contiguous())
        out_LNH, last = module(x_LNI, state)
        if backwards:
            out_LNH = out_LNH.flip(0)
        out_LDNH = out_LNH.unflatten(2, (directions, -1)).transpose(1, 2)
        return (out_LDNH, *last) if has_cell else (out_LDNH, last)

    return run


def _module(node: Node, directions: int) -> "nn.RNNBase":
    import torch
    from torch import nn

    weights, recurrent_weights = node.weight(1), node.weight(2)
    hidden, inputs = recurrent_weights.shape[2], weights.shape[2]
    # Seeds are none of our business: torch would draw first weights from the process's generator.
    with torch.device("meta"):
        kind: Any = {"GRU": nn.GRU, "LSTM": nn.LSTM, "RNN": nn.RNN}[node.kind]
        module: nn.RNNBase = kind(inputs, hidden, bidirectional=directions == 2)
    module.to_empty(device=node.torch_device).eval()
    biases = node.weight(3) if 3 in node.shapes else np.zeros((directions, 2 * weights.shape[1]), weights.dtype)
    with torch.no_grad():
        for index, suffix in enumerate(("", "_reverse")[:directions]):
            halves = np.split(biases[index], 2)
            for name, array in (
                ("weight_ih_l0", weights[index]),
                ("weight_hh_l0", recurrent_weights[index]),
                ("bias_ih_l0", halves[0]),
                ("bias_hh_l0", halves[1]),
            ):
                getattr(module, name + suffix).copy_(torch.from_numpy(_reordered(node.kind, array)))
    module.requires_grad_(False)
    module.flatten_parameters()
    return module


def _reordered(kind: str, array: NDArray[Any]) -> NDArray[Any]:
    gates = np.split(array, len(_GATES[kind]))
    return np.concatenate([gates[index] for index in _GATES[kind]])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
