"""Which codecs are worth trying on a bottleneck's code: judged by real bytes and answers on calibration samples.

    code ─► each rate: its levels ─► answers
                               └──► bytes, plain and range-coded ─► those that nothing cheaper is better than

# N samples, K classes, C channels of the code
"""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import CutTables
from offramp.codecs.affine import Affine, Grain
from offramp.codecs.leading import first_channels
from offramp.codecs.prefix_range import range_stage
from offramp.codecs.stage import Packed
from offramp.data.dataset import DataSet
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.layers import as_tuple
from offramp_builder.bottlenecks.quantise import Rate, Rates, at_rate
from offramp_builder.branches.cache import Progress
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.graphs import piece
from offramp_builder.training.trainer import batches_of

_JUDGES = 1_000
"""Calibration samples, evenly drawn."""
_WEIGHED = 200
"""Of those, samples whose payloads are range-coded: their mean varies by a hundredth."""
_APART = 1.2
"""How many times the bytes of a cheaper one a codec has at least, to be worth trying beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One codec for a code."""

    codec: str
    """Without the bottleneck's name: `affine4:8+range`."""
    nbytes: float
    """Mean of a payload."""
    accuracy: float
    """Of the answers, in [0, 1]."""

    def __str__(self) -> str:
        return f"{self.codec} {self.nbytes:.0f} B {100 * self.accuracy:.1f} %"


def judge(
    captured: Captured, bottleneck: Bottleneck, rates: Rates, data: DataSet, tables: CutTables, *, progress: Progress
) -> tuple[Judged, ...]:
    """Every rate on some samples, the cheapest first; range-coded too where that library is here."""
    rows = np.unique(np.linspace(0, len(data) - 1, _JUDGES).astype(np.int64))
    some = data.take(rows)
    code = codes(captured, bottleneck, some)
    truth_N = torch.from_numpy(some.truth_N)
    judged = []
    for done, rate in enumerate(rates.every()):
        right = answers(captured, bottleneck, at_rate(code, rate)).argmax(1) == truth_N
        accuracy = float(right.float().mean())
        name = f"affine{rate.bits}" + (f":{rate.sent}" if rate.sent < code.shape[1] else "")
        for stage, nbytes in _bytes(code[:: -(-len(code) // _WEIGHED)], rate, tables).items():
            judged.append(Judged(codec=name + stage, nbytes=nbytes, accuracy=accuracy))
        progress(f"judging {bottleneck.name}", done + 1, len(rates.every()))
    return tuple(sorted(judged, key=lambda one: (one.nbytes, -one.accuracy)))


def worth_trying(judged: Sequence[Judged]) -> tuple[str, ...]:
    """The front: each answers better than all that are cheaper, and is larger by a fifth; the best is always there."""
    front: list[Judged] = []
    for one in judged:
        if not front or one.accuracy > front[-1].accuracy:
            front.append(one)
    chosen = front[:1]
    for one in front[1:]:
        if one.nbytes < _APART * chosen[-1].nbytes:
            if one is not front[-1]:
                continue
            if len(chosen) > 1:
                chosen.pop()
        chosen.append(one)
    return tuple(one.codec for one in chosen)


def codes(captured: Captured, bottleneck: Bottleneck, data: DataSet) -> Tensor:
    """[N, C, …] of all samples."""
    batches = (torch.from_numpy(batch) for batch in batches_of(data.samples))
    with torch.no_grad():
        found = [
            bottleneck.encoder(*at[bottleneck.position]) for at in features(captured, [bottleneck.position], batches)
        ]
    return torch.cat(found)


def answers(captured: Captured, bottleneck: Bottleneck, code: Tensor, *, batch: int = 256) -> Tensor:
    """[N, K] what the edge says of codes as it reads them."""
    names = [[one.node for one in captured.cuts[place].tensors] for place in (bottleneck.position, captured.end)]
    tail = bottleneck.tail or piece(captured.graph, *names)
    with torch.no_grad():
        found = [as_tuple(tail(*as_tuple(bottleneck.decoder(some))))[0] for some in torch.split(code, batch)]
    return torch.cat(found)


def _bytes(code: Tensor, rate: Rate, tables: CutTables) -> dict[str, float]:
    """Mean bytes of a payload, by entropy stage."""
    found = {"": float(rate.nbytes(math.prod(code.shape[2:])))}
    if importlib.util.find_spec("constriction") is None:
        return found
    whole = TensorSpec(shape=tuple(code.shape[1:]), dtype="float32", low=0.0, high=1.0)
    crossing, grain = first_channels(0, whole, rate.sent, tables), Grain(rate.bits)
    packer = Affine(crossing, grain)
    stage = range_stage(Packed(base=grain.name, packer=packer, crossing=crossing))
    sizes = [len(stage.compress(packer.pack((one[None],)))) for one in code[:, : rate.sent].numpy()]
    return found | {"+range": float(np.mean(sizes))}
