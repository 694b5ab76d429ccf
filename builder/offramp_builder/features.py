"""The tensors at some cuts of a captured network: for training branches from one cached pass, and for calibration.

batch of raw samples ─► stages up to the last cut asked ─► {position: (tensor, …)}

Nothing after the last cut runs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from offramp_builder.capture import Captured
from offramp_builder.graphs import piece

CutFeatures = dict[int, tuple[Tensor, ...]]
"""The tensors [N, *shape] at each position."""


def run_to(captured: Captured, positions: Sequence[int], batch: Tensor) -> CutFeatures:
    """The tensors at `positions` for one batch of raw samples; for many batches use `features`, which prepares once."""
    return _extractor(captured, positions)(batch)


def features(captured: Captured, positions: Sequence[int], batches: Iterable[Tensor]) -> Iterator[CutFeatures]:
    """The tensors at `positions` for each batch of raw samples, computed without gradients as they are asked for."""
    extract = _extractor(captured, positions)
    for batch in batches:
        yield extract(batch)


def _extractor(captured: Captured, positions: Sequence[int]) -> Callable[[Tensor], CutFeatures]:
    names = {position: [tensor.node for tensor in captured.cuts[position].tensors] for position in positions}
    asked = [name for position in positions for name in names[position]]
    head = piece(captured.graph, [captured.cuts[0].tensors[0].node], asked)

    def extract(batch: Tensor) -> CutFeatures:
        with torch.no_grad():
            found = iter(head(batch))
        return {position: tuple(next(found) for _ in names[position]) for position in positions}

    return extract
