"""The segments of bottlenecks: encoders fused to the end of heads, decoders to the beginning of tails.

    0 ─► stage 0 … stage k-1 ─► encoder ─► code ═► decoder ─► stage k … stage n-1 ─► n     0-k~slim, k-n~slim
                                                     └─► the bottleneck's own tail ─► n

Heads begin where a plan's last stretch on the device can: at the input, behind each branch, and at the cut itself, for
a sample that stopped there to be asked. A code leads to the end of the network and, on the network's own tail, to each
of its branches past the cut.

# N samples, C channels of the code, K classes
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils.flop_counter import FlopCounterMode

from offramp.bundle.specs import BottleneckSpec, CutSpec, TensorSpec
from offramp.errors import ModelError
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.layers import as_tuple
from offramp_builder.capture import Captured
from offramp_builder.export import Piece
from offramp_builder.features import CutFeatures, run_to
from offramp_builder.fold import rewrite_for_runtime

SLACK = 1e-5
"""How far a code may stray from [0, 1]: rounding of float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One segment via a bottleneck: what it is made of."""

    start: int
    stop: int
    branch: bool
    via: str
    given: CutSpec
    left: CutSpec
    fragments: tuple[str, ...]
    """Names of pieces, in order."""

    @property
    def name(self) -> str:
        return f"{self.start}-{self.stop}{'b' * self.branch}~{self.via}"


def bottleneck_specs(
    captured: Captured, kept: Sequence[int], bottlenecks: Sequence[Bottleneck]
) -> tuple[BottleneckSpec, ...]:
    """What the manifest says of bottlenecks; each is tried on a few samples.

    Raises:
        ModelError: One leads around no kept cut that a plan may split at, or does not yield what it should.
    """
    for bottleneck in bottlenecks:
        _check_place(captured, kept, bottleneck)
    at = run_to(captured, [bottleneck.position for bottleneck in bottlenecks], captured.examples)
    return tuple(_spec(captured, kept, bottleneck, at) for bottleneck in bottlenecks)


def detour_pieces(captured: Captured, bottlenecks: Sequence[Bottleneck]) -> Iterator[Piece]:
    """Encoder, with stages of its own if it has any, decoder and own tail of each, to be exported."""
    at = run_to(captured, [bottleneck.position for bottleneck in bottlenecks], captured.examples[:1])
    for bottleneck in bottlenecks:
        feature = at[bottleneck.position]
        with torch.no_grad():
            code = bottleneck.encoder.eval()(*feature)
            decoded = as_tuple(bottleneck.decoder.eval()(code))
        parts = [(_encoder(bottleneck.name), "the encoder", bottleneck.encoder, feature, 1)]
        parts.append((_decoder(bottleneck.name), "the decoder", bottleneck.decoder, (code,), len(decoded)))
        if bottleneck.tail is not None:
            parts.append((_tail(bottleneck.name), "the tail", bottleneck.tail, decoded, 1))
        for name, what, module, inputs, outputs in parts:
            yield Piece(
                name=name,
                description=f"{what} of the bottleneck {bottleneck.name}",
                module=_InTuple(_for_runtime(module)),
                inputs=inputs,
                outputs=outputs,
            )


def stretches(specs: Sequence[BottleneckSpec], cuts: Sequence[CutSpec], branches: Sequence[int]) -> Iterator[Stretch]:
    """Every segment that plans can run via these bottlenecks; `branches` are the cuts of all branches."""
    end = len(cuts) - 1
    for spec in specs:
        code = CutSpec(name=spec.name, tensors=(spec.tensor,))
        for start in sorted({0, *(cut for cut in branches if cut < spec.cut), spec.cut}):
            fragments = *map(stage_name, range(start, spec.cut)), _encoder(spec.name)
            yield Stretch(
                start=start, stop=spec.cut, branch=False, via=spec.name,
                given=cuts[start], left=code, fragments=fragments,
            )  # fmt: skip
        past = [] if spec.own_tail else sorted(cut for cut in branches if cut > spec.cut)
        for stop in (*past, end):
            rest = (_tail(spec.name),) if spec.own_tail else tuple(map(stage_name, range(spec.cut, stop)))
            yield Stretch(
                start=spec.cut, stop=stop, branch=stop < end, via=spec.name,
                given=code, left=cuts[stop], fragments=(_decoder(spec.name), *rest),
            )  # fmt: skip


def stage_name(index: int) -> str:
    """What the piece of a stage is called."""
    return f"stage{index}"


class _InTuple(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        return as_tuple(self.module(*values))


def _for_runtime(module: nn.Module) -> nn.Module:
    """Graphs that were taken out of a captured network are written as its stages are; anything else as it is."""
    graphs = [name for name, part in module.named_modules() if isinstance(part, GraphModule)]
    written = copy.deepcopy(module) if graphs else module
    for name in graphs:
        graph = written.get_submodule(name)
        assert isinstance(graph, GraphModule)
        rewrite_for_runtime(graph)
    return written


def _check_place(captured: Captured, kept: Sequence[int], bottleneck: Bottleneck) -> None:
    position = bottleneck.position
    if position not in kept[1:-1] or not captured.cuts[position].split:
        raise ModelError(
            f"the bottleneck {bottleneck.name} leads around position {position}, which is no inner kept cut of "
            f"{list(kept)} that a plan may split at; keep that cut"
        )


def _spec(captured: Captured, kept: Sequence[int], bottleneck: Bottleneck, at: CutFeatures) -> BottleneckSpec:
    feature, name = at[bottleneck.position], bottleneck.name
    rows = len(feature[0])
    with torch.no_grad():
        code = bottleneck.encoder.eval()(*feature)
        _check_code(code, rows, name)
        decoded = as_tuple(bottleneck.decoder.eval()(code))
        if bottleneck.tail is None and [one.shape for one in decoded] != [one.shape for one in feature]:
            raise ModelError(
                f"the decoder of the bottleneck {name} yields {_shapes(decoded)}; the tensors of its cut are "
                f"{_shapes(feature)}"
            )
        if bottleneck.tail is not None:
            (logits_NK,) = _said(bottleneck.tail.eval(), decoded, name)
            if tuple(logits_NK.shape) != (rows, captured.classes):
                raise ModelError(
                    f"the tail of the bottleneck {name} yields {_shapes((logits_NK,))}; it should yield logits "
                    f"{[rows, captured.classes]}"
                )
    own = bottleneck.tail
    rest = captured.macs - captured.cuts[bottleneck.position].macs if own is None else _macs(own, decoded)
    return BottleneckSpec(
        name=name,
        cut=list(kept).index(bottleneck.position),
        tensor=TensorSpec(shape=tuple(code.shape[1:]), dtype="float32", low=0.0, high=1.0),
        encoder_macs=_macs(bottleneck.encoder, feature),
        tail_macs=_macs(bottleneck.decoder, (code,)) + rest,
        own_tail=own is not None,
        codecs=bottleneck.codecs,
    )


def _said(tail: nn.Module, decoded: tuple[Tensor, ...], name: str) -> tuple[Tensor, ...]:
    try:
        return as_tuple(tail(*decoded))
    except (RuntimeError, TypeError) as error:  # what operations say of other shapes, and a call of other inputs
        raise ModelError(
            f"the decoder of the bottleneck {name} yields {_shapes(decoded)}, which its tail cannot read: {error}"
        ) from error


def _check_code(code: object, rows: int, name: str) -> None:
    if not isinstance(code, Tensor) or code.ndim < 2 or len(code) != rows or code.dtype != torch.float32:
        raise ModelError(f"the encoder of the bottleneck {name} yields no code: one float32 tensor [N, C, …] is one")
    low, high = float(code.min()), float(code.max())
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise ModelError(
            f"the encoder of the bottleneck {name} yields values from {low:.3g} to {high:.3g}; a code lies in [0, 1]: "
            "end the encoder in a sigmoid or a clamp"
        )


def _macs(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Multiply-accumulates for one sample."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(*(tensor[:1] for tensor in inputs))
    return int(counter.get_total_flops()) // 2


def _shapes(tensors: Sequence[Tensor]) -> str:
    return " and ".join(str(list(tensor.shape)) for tensor in tensors)


def _encoder(name: str) -> str:
    return f"encoder_{name}"


def _decoder(name: str) -> str:
    return f"decoder_{name}"


def _tail(name: str) -> str:
    return f"tail_{name}"
