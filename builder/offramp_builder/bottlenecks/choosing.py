"""Which codecs are worth trying on a bottleneck's code: judged by real bytes and answers on calibration samples.

    code ─► each rate: its levels ─► answers
                               └──► bytes, plain and range-coded ─► those that nothing cheaper is better than
         ─► probe: a rate for each sample ─► the answers and bytes of that rate

# N samples, W of them whose payloads are weighed, K classes, C channels of the code
"""

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import CutTables
from offramp.codecs.adaptive import Probe, is_adaptive, sure_name
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
SURE = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""How sure the channels that are sent shall be, where each sample has its rate."""
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

    @property
    def adapts(self) -> bool:
        """Whether it chooses the rate of each sample."""
        return is_adaptive(self.codec)

    def __str__(self) -> str:
        return f"{self.codec} {self.nbytes:.0f} B {100 * self.accuracy:.1f} %"


def judge(
    captured: Captured, bottleneck: Bottleneck, rates: Rates, data: DataSet, tables: CutTables, *, progress: Progress
) -> tuple[Judged, ...]:
    """Every rate on some samples, the cheapest first, and those that follow the sample where the tables have a probe;
    range-coded too where that library is here.
    """
    rows = np.unique(np.linspace(0, len(data) - 1, _JUDGES).astype(np.int64))
    some = data.take(rows)
    code = codes(captured, bottleneck, some)
    truth_N = torch.from_numpy(some.truth_N)
    weighed = slice(None, None, -(-len(code) // _WEIGHED))
    heard: dict[Rate, _Heard] = {}
    for done, rate in enumerate(rates.every()):
        right_N = answers(captured, bottleneck, at_rate(code, rate)).argmax(1) == truth_N
        heard[rate] = _Heard(right_N.numpy(), _sizes(code[weighed], rate, tables))
        progress(f"judging {bottleneck.name}", done + 1, len(rates.every()))
    judged = []
    for rate, found in heard.items():
        name = f"affine{rate.bits}" + (f":{rate.sent}" if rate.sent < code.shape[1] else "")
        judged += [found.judged(name + stage, stage) for stage in found.bytes_W]
    if tables.probe is not None:
        judged += _adapting(Probe(tables.probe), code, weighed, rates, heard)
    return tuple(sorted(judged, key=lambda one: (one.nbytes, -one.accuracy)))


def _adapting(
    probe: Probe, code: Tensor, weighed: slice, rates: Rates, heard: Mapping[Rate, "_Heard"]
) -> Iterator[Judged]:
    """Those that choose among the numbers of channels, at each number of bits."""
    for sure in SURE:
        index_N = np.array([probe.index(one, sure) for one in code.numpy()])
        index_W = index_N[weighed]
        for bits in rates.bits:
            there = [heard[Rate(sent, bits)] for sent in rates.sent]
            right_N = np.stack([one.right_N for one in there])[index_N, np.arange(len(index_N))]
            sizes = {
                stage: 1 + np.stack([one.bytes_W[stage] for one in there])[index_W, np.arange(len(index_W))]
                for stage in there[0].bytes_W
            }
            found = _Heard(right_N, sizes)
            yield from (found.judged(f"affine{bits}:{sure_name(sure)}{stage}", stage) for stage in sizes)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one rate makes of the samples."""

    right_N: NDArray[np.bool_]
    bytes_W: Mapping[str, NDArray[np.int64]]
    """Of those that are weighed, by entropy stage."""

    def judged(self, codec: str, stage: str) -> Judged:
        return Judged(codec=codec, nbytes=float(self.bytes_W[stage].mean()), accuracy=float(self.right_N.mean()))


def worth_trying(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Those with one rate for all samples that nothing cheaper of them is better than, and those that adapt and that
    nothing cheaper at all is better than.
    """
    fixed = [one for one in judged if not one.adapts]
    adapting = [
        one
        for one in judged
        if one.adapts and all(one.accuracy > other.accuracy for other in fixed if other.nbytes <= one.nbytes)
    ]
    return (*_front(fixed), *_front(adapting))


def _front(judged: Sequence[Judged]) -> Sequence[str]:
    """Each answers better than all that are cheaper, and is larger by a fifth; the best is always there."""
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
    return [one.codec for one in chosen]


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


def _sizes(code: Tensor, rate: Rate, tables: CutTables) -> dict[str, NDArray[np.int64]]:
    """[W] bytes of the payloads of these codes, by entropy stage."""
    found = {"": np.full(len(code), rate.nbytes(math.prod(code.shape[2:])))}
    if importlib.util.find_spec("constriction") is None:
        return found
    whole = TensorSpec(shape=tuple(code.shape[1:]), dtype="float32", low=0.0, high=1.0)
    crossing, grain = first_channels(0, whole, rate.sent, tables), Grain(rate.bits)
    packer = Affine(crossing, grain)
    stage = range_stage(Packed(base=grain.name, packer=packer, crossing=crossing))
    sizes = [len(stage.compress(packer.pack((one[None],)))) for one in code[:, : rate.sent].numpy()]
    return found | {"+range": np.array(sizes)}
