"""Multiply-accumulates of every node of a captured graph, for one sample.

Counted by torch's own counter (two floating-point operations each) while the graph runs once at batch 1, so they are
those of the kernels that really ran: convolutions, matrix products, attention. Elementwise work, pooling,
normalisation and Fourier transforms count nothing, as is usual. Two CPU kernels that torch's counter does not know are
counted from their definitions below.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.utils.flop_counter import FlopCounterMode

_aten = torch.ops.aten


def count_macs(module: GraphModule, *inputs: Tensor) -> dict[str, int]:
    """Multiply-accumulates by name of the node; nodes without any are left out."""
    counting = _Counting(module)
    with torch.no_grad():
        counting.run(*inputs)
    return {name: macs for name, macs in counting.macs.items() if macs}


class _Counting(Interpreter):
    def __init__(self, module: GraphModule) -> None:
        super().__init__(module)
        self.macs: dict[str, int] = {}

    def run_node(self, n: Node) -> Any:
        with FlopCounterMode(display=False, custom_mapping=_ALSO) as counter:
            result = super().run_node(n)
        self.macs[n.name] = counter.get_total_flops() // 2
        return result


def _attention(query: Any, key: Any, value: Any, *_args: Any, **_kwargs: Any) -> int:
    """softmax(Q Kᵀ) V: two products over every pair of positions."""
    *batch, queries, width = query
    keys, width_out = key[-2], value[-1]
    return int(2 * math.prod(batch) * queries * keys * (width + width_out))


def _lstm_layer(feature: Any, *weights: Any, **_kwargs: Any) -> int:
    """One direction of one layer: four gates, each a product with the input and one with the state, per step."""
    input_weight, state_weight = weights[0], weights[1]
    steps = math.prod(feature[:-1])
    return int(2 * steps * (math.prod(input_weight) + math.prod(state_weight)))


_ALSO: dict[Any, Any] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten.mkldnn_rnn_layer: _lstm_layer,
}
